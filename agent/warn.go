package agent

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"time"

	"varve/auth/kerberos"
	"varve/auth/sasl"
	"varve/internal/backoff"
)

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

// warnOfPlain warns of listeners without TLS whose mechanisms need it.
func warnOfPlain(listeners []Listener, log *slog.Logger) {
	for _, l := range listeners {
		for _, w := range []struct{ mechanism, says string }{
			{sasl.Plain, "passwords are sent unencrypted: the listener offers PLAIN without TLS"},
			{sasl.OAuthBearer, "tokens are sent unencrypted: the listener offers OAUTHBEARER without TLS"},
			{sasl.GSSAPI, "connections are not protected after the login: the listener offers GSSAPI without TLS"},
		} {
			if l.protocol() == protocolSASL && slices.Contains(l.mechanisms(), w.mechanism) {
				log.Warn(w.says, "listener", l.Name)
			}
		}
	}
}

// warnOfUnused logs a warning for each setting that has no effect or that keeps everybody out. users is the
// number of users in the cluster.
func warnOfUnused(cfg *Config, users int, log *slog.Logger) {
	if cfg.Security.Kerberos.On() && !cfg.offers(sasl.GSSAPI) {
		log.Warn("security.kerberos is without effect: no listener has GSSAPI among its sasl.mechanisms")
	}
	if cfg.HTTP != "" && cfg.httpWantsUsers() && !cfg.Security.OAuth.On() && users == 0 {
		log.Warn("nobody can use the HTTP address but for the probes: it is for users with passwords (http_auth), and the cluster has no users", "http", cfg.HTTP)
	}
}

// warnOfHosts warns of listeners whose advertised host has no key in the keytab.
func warnOfHosts(listeners []Listener, a *kerberos.Acceptor, log *slog.Logger) {
	for _, l := range listeners {
		host := hostOf(l.Advertised)
		if host == "" || !slices.Contains(l.mechanisms(), sasl.GSSAPI) {
			continue
		}
		if principal, ok := a.Serves(host); !ok {
			log.Warn("the keytab has no key for the listener's advertised host: clients that know the agent by this name are not let in", "listener", l.Name, "wanted", principal)
		}
	}
}

// warnOfOptional warns once a day that peer.tls is optional, until ctx ends.
func warnOfOptional(ctx context.Context, log *slog.Logger) {
	for {
		log.Warn("whoever reaches the address for other agents is taken for one of them: peer.tls.optional is true, which is for the change to TLS only. varve_replica_plain_connections_total tells when all agents use TLS")
		if backoff.Sleep(ctx, 24*time.Hour) != nil {
			return
		}
	}
}
