package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"varve/auth/sasl"
	"varve/auth/token"
	"varve/cluster"
	"varve/metadata/schema"
)

// prepareUsers creates the first user of the cluster, if the settings name one, and reads what
// the agents share for authentication.
func (a *Agent) prepareUsers(ctx, life context.Context) error {
	name, password, ok, err := a.cfg.Security.firstUser(a.files)
	if err != nil {
		return err
	}
	if ok {
		scram, err := verifiers(a.process, password)
		if err != nil {
			return err
		}
		created, err := a.editor.FirstUser(ctx, name, scram)
		if err != nil {
			return fmt.Errorf("create the first user: %w", err)
		}
		if created {
			a.audit().Info("first user created", "user", name)
		}
	}
	warnOfAccess(&a.cfg, a.view.ACLs.Rules().Len(), a.log)
	warnOfTokenSettings(&a.cfg, a.log)
	warnOfPlain(a.cfg.Listeners, a.log)
	warnOfUnused(&a.cfg, len(cluster.NewUsers(a.view).All()), a.log)
	if a.cfg.Peer.Bind != "" && a.cfg.Peer.TLS.Optional {
		a.run(func() { warnOfOptional(life, a.log) })
	}
	if a.kerberos, err = a.openKerberos(life); err != nil {
		return err
	}
	if a.tokens, err = token.Open(a.cfg.Security.Tokens, a.files); err != nil {
		return under("security.delegation_tokens.", err)
	}
	if a.bearer, err = a.openOAuth(life); err != nil || !a.cfg.needsUsers() && !a.cfg.httpWantsUsers() {
		return err
	}
	s, err := a.editor.Security(ctx)
	a.secret = s.Secret
	return err
}

// verifiers makes those of a password for all mechanisms of SCRAM.
func verifiers(p *process, password string) (map[schema.ScramMechanism]schema.ScramCredential, error) {
	out := map[schema.ScramMechanism]schema.ScramCredential{}
	names := map[schema.ScramMechanism]string{schema.ScramSHA256: sasl.ScramSHA256, schema.ScramSHA512: sasl.ScramSHA512}
	for _, number := range slices.Sorted(maps.Keys(names)) { // in an order, for the random salts
		c, err := sasl.NewCredential(names[number], password, sasl.DefaultIterations, p.random)
		if err != nil {
			return nil, err
		}
		out[number] = schema.ScramCredential{Iterations: int32(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}
	}
	return out, nil
}
