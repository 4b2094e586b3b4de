package agent

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"varve/auth/sasl"
	"varve/auth/token"
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
	for _, l := range a.cfg.Listeners {
		if l.protocol() == protocolSASL && slices.Contains(l.mechanisms(), sasl.Plain) {
			a.log.Warn("passwords are sent unencrypted: the listener offers PLAIN without TLS", "listener", l.Name)
		}
		if l.protocol() == protocolSASL && slices.Contains(l.mechanisms(), sasl.OAuthBearer) {
			a.log.Warn("tokens are sent unencrypted: the listener offers OAUTHBEARER without TLS", "listener", l.Name)
		}
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

// warnOfAccess logs settings that allow more, or less, than they seem to. acls is the number of
// ACLs in the cluster.
func warnOfAccess(cfg *Config, acls int, log *slog.Logger) {
	switch authorizes := cfg.Security.Authorizer == AuthorizerACL; {
	case !authorizes && acls > 0:
		log.Warn("the cluster has ACLs, but this agent doesn't ask them: everybody may do everything here (security.authorizer is none)", "acls", acls)
	case !authorizes && (len(cfg.Security.SuperUsers) > 0 || cfg.Security.AllowEveryone):
		log.Warn("everybody may do everything: security.authorizer is none, and super_users and allow_everyone_if_no_acl_found are without effect")
	case !authorizes && cfg.needsUsers():
		log.Warn("every user may do everything, also change the passwords of others: security.authorizer is none")
	case authorizes && len(cfg.Security.SuperUsers) == 0:
		log.Warn("there are no super users (security.super_users): if no ACL allows anybody to alter the cluster, nobody can make ACLs")
	}
	for _, l := range cfg.Listeners {
		if l.TLS.ClientCA != "" && clientAuths[l.TLS.ClientAuth] == tls.NoClientCert {
			log.Warn("no client is asked for a certificate: tls.client_auth is none, and tls.client_ca_file without effect", "listener", l.Name)
		}
	}
	if cfg.Security.Authorizer == AuthorizerACL && cfg.Peer.Bind != "" && !cfg.Peer.TLS.On() {
		log.Warn("whoever reaches the address for other agents can read all records, whatever ACLs say: peer.tls keeps others out", "peer", cfg.Peer.Bind)
	}
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
