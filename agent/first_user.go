package agent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"varve/auth/sasl"
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
	for _, l := range a.cfg.Listeners {
		if l.protocol() == protocolSASL && slices.Contains(l.mechanisms(), sasl.Plain) {
			a.log.Warn("passwords are sent unencrypted: the listener offers PLAIN without TLS", "listener", l.Name)
		}
		if l.protocol() == protocolSASL && slices.Contains(l.mechanisms(), sasl.OAuthBearer) {
			a.log.Warn("tokens are sent unencrypted: the listener offers OAUTHBEARER without TLS", "listener", l.Name)
		}
	}
	if a.bearer, err = a.openOAuth(life); err != nil || !a.cfg.needsUsers() {
		return err
	}
	s, err := a.editor.Security(ctx)
	a.secret = s.Secret
	return err
}

// audit returns the log of who did what.
func (p *process) audit() *slog.Logger { return p.log.With("part", "audit") }

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
