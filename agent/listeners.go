package agent

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/auth/principal"
	"varve/auth/sasl"
	"varve/internal/tlsfile"
)

// Listener is one named address at which Kafka's protocol is served.
type Listener struct {
	Name       string `yaml:"name" doc:"name of the listener, as in Kafka; clients of a listener get its advertised addresses"`
	Bind       string `yaml:"bind" doc:"host:port to listen on; an empty host means all interfaces, port 0 picks a free port"`
	Advertised string `yaml:"advertised" doc:"host:port to advertise to clients; empty: the bind address, with the name as given"`
	// Protocol is one of the protocols below; see protocol.
	Protocol string       `yaml:"protocol,omitempty" doc:"PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; empty: the one that the name is, else PLAINTEXT"`
	TLS      ListenerTLS  `yaml:"tls,omitempty" doc:"TLS, for SSL and SASL_SSL"`
	SASL     ListenerSASL `yaml:"sasl,omitempty" doc:"SASL, for SASL_PLAINTEXT and SASL_SSL"`
	Rules    []string     `yaml:"principal_mapping_rules,omitempty" doc:"how the subject of a client's certificate becomes its name, as Kafka's ssl.principal.mapping.rules, a rule each: RULE:pattern/replacement/ with L or U after it, SAN:pattern/replacement/ for its alternative names, or DEFAULT; empty: the whole subject"`
	Most     int          `yaml:"max_connections,omitempty" doc:"maximum number of connections to this listener; 0: no other bound than kafka.max_connections"`
}

// ListenerTLS is how a listener speaks TLS. The files are read again when they change.
type ListenerTLS struct {
	CertFile   string `yaml:"cert_file,omitempty" doc:"PEM file of the certificate, and of those that link it to its authority"`
	KeyFile    string `yaml:"key_file,omitempty" doc:"PEM file of the certificate's private key, which others must not be able to read"`
	ClientCA   string `yaml:"client_ca_file,omitempty" doc:"PEM file of the authorities of clients' certificates"`
	ClientAuth string `yaml:"client_auth,omitempty" doc:"whether clients show a certificate: none (default), requested or required"`
	MinVersion string `yaml:"min_version,omitempty" doc:"oldest version of TLS: \"1.2\" (default) or \"1.3\""`
}

// ListenerSASL is how clients of a listener authenticate themselves.
type ListenerSASL struct {
	Mechanisms []string      `yaml:"mechanisms,omitempty" doc:"SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, OAUTHBEARER (which needs security.oauth), GSSAPI (which needs security.kerberos); empty: both of SCRAM"`
	MaxReauth  time.Duration `yaml:"max_reauth,omitempty" doc:"how long a client stays authenticated; then it has to do so again (KIP-368), or is cut off; 0: for ever. With a token at most until that expires"`
}

// The protocols of a listener, as Kafka names them.
const (
	protocolPlain     = "PLAINTEXT"
	protocolTLS       = "SSL"
	protocolSASL      = "SASL_PLAINTEXT"
	protocolSASLOnTLS = "SASL_SSL"
)

var protocols = []string{protocolPlain, protocolTLS, protocolSASL, protocolSASLOnTLS}

// protocol returns the listener's protocol. A listener whose name is that of a protocol speaks it,
// as by Kafka's default listener.security.protocol.map.
func (l *Listener) protocol() string {
	if l.Protocol == "" && slices.Contains(protocols, strings.ToUpper(l.Name)) {
		return strings.ToUpper(l.Name)
	}
	return cmp.Or(l.Protocol, protocolPlain)
}

func (l *Listener) speaksTLS() bool {
	p := l.protocol()
	return p == protocolTLS || p == protocolSASLOnTLS
}

func (l *Listener) speaksSASL() bool {
	p := l.protocol()
	return p == protocolSASL || p == protocolSASLOnTLS
}

// mechanisms returns those of SASL that the listener offers.
func (l *Listener) mechanisms() []string {
	switch {
	case !l.speaksSASL():
		return nil
	case len(l.SASL.Mechanisms) == 0:
		return []string{sasl.ScramSHA512, sasl.ScramSHA256}
	}
	return l.SASL.Mechanisms
}

// needsUsers reports whether some listener authenticates clients by their passwords.
func (c *Config) needsUsers() bool {
	return slices.ContainsFunc(sasl.PasswordMechanisms(), c.offers)
}

// offers reports whether some listener has a mechanism of SASL.
func (c *Config) offers(mechanism string) bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return slices.Contains(l.mechanisms(), mechanism) })
}

// offersPlain reports whether some listener has a mechanism of SASL without TLS.
func (c *Config) offersPlain(mechanism string) bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return !l.speaksTLS() && slices.Contains(l.mechanisms(), mechanism) })
}

var (
	clientAuths = map[string]tls.ClientAuthType{"": tls.NoClientCert, "none": tls.NoClientCert, "requested": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert}
	minVersions = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
)

// files are those of the listener's TLS.
func (l *Listener) files() tlsfile.ServerFiles {
	return tlsfile.ServerFiles{Cert: l.TLS.CertFile, Key: l.TLS.KeyFile, ClientCA: l.TLS.ClientCA, ClientAuth: clientAuths[l.TLS.ClientAuth], MinVersion: minVersions[l.TLS.MinVersion]}
}

func (c *Config) validateListeners() error {
	var errs []error
	names := map[string]bool{}
	for i, l := range c.Listeners {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("listeners[%d].%s", i, fmt.Sprintf(format, args...)))
		}
		switch {
		case l.Name == "":
			bad("name is required and must be unique")
		case names[l.Name]:
			bad("name is %q, as that of another listener: it must be unique", l.Name)
		}
		names[l.Name] = true
		if _, _, err := splitAddress(l.Bind); err != nil {
			bad("bind is %q: must be host:port", l.Bind)
		}
		if host, port, err := splitAddress(l.Advertised); l.Advertised != "" && (err != nil || host == "" || port == 0) {
			bad("advertised is %q: must be host:port", l.Advertised)
		}
		if l.Most < 0 {
			bad("max_connections is %d: must be 0 or more", l.Most)
		}
		l.validateProtocol(bad)
		l.validateTLS(bad)
		l.validateSASL(bad)
		if slices.Contains(l.mechanisms(), sasl.OAuthBearer) && !c.Security.OAuth.On() {
			bad("sasl.mechanisms has OAUTHBEARER, but security.oauth does not say which tokens are good: set security.oauth.jwks_url (or jwks_file), issuer and audience")
		}
		if slices.Contains(l.mechanisms(), sasl.GSSAPI) && !c.Security.Kerberos.On() {
			bad("sasl.mechanisms has GSSAPI, but there are no keys of the service: set security.kerberos.keytab_file")
		}
	}
	return errors.Join(errs...)
}

func (l *Listener) validateProtocol(bad func(string, ...any)) {
	switch name := strings.ToUpper(l.Name); {
	case l.Protocol != "" && !slices.Contains(protocols, l.Protocol):
		bad("protocol is %q: must be %s", l.Protocol, strings.Join(protocols, ", "))
	case l.Protocol != "" && slices.Contains(protocols, name) && name != l.Protocol:
		bad("name is %q: that is Kafka's name of a listener with another protocol than %s. Give it another name, or leave the protocol out", l.Name, l.Protocol)
	}
}

func (l *Listener) validateTLS(bad func(string, ...any)) {
	t := l.TLS
	if _, ok := clientAuths[t.ClientAuth]; !ok {
		bad("tls.client_auth is %q: must be none, requested or required", t.ClientAuth)
	}
	if _, ok := minVersions[t.MinVersion]; !ok {
		bad("tls.min_version is %q: must be \"1.2\" or \"1.3\"", t.MinVersion)
	}
	if _, err := principal.Parse(l.Rules); err != nil {
		bad("principal_mapping_rules: %v", err)
	}
	if !l.speaksTLS() {
		if t != (ListenerTLS{}) {
			bad("tls is given, but the listener's protocol is %s: it would be without effect", l.protocol())
		}
		if len(l.Rules) > 0 {
			bad("principal_mapping_rules are given, but the listener's protocol is %s, without certificates", l.protocol())
		}
		return
	}
	for _, f := range []struct{ name, value string }{{"cert_file", t.CertFile}, {"key_file", t.KeyFile}} {
		if f.value == "" {
			bad("tls.%s is empty: protocol %s needs it", f.name, l.protocol())
		}
	}
	if clientAuths[t.ClientAuth] != tls.NoClientCert && t.ClientCA == "" {
		bad("tls.client_ca_file is empty: with tls.client_auth %s it must name the authorities of clients", t.ClientAuth)
	}
}

func (l *Listener) validateSASL(bad func(string, ...any)) {
	if !l.speaksSASL() {
		if len(l.SASL.Mechanisms) > 0 || l.SASL.MaxReauth != 0 {
			bad("sasl is given, but the listener's protocol is %s: it would be without effect", l.protocol())
		}
		return
	}
	for i, m := range l.SASL.Mechanisms {
		switch {
		case !slices.Contains(sasl.Mechanisms(), m):
			bad("sasl.mechanisms has %q: must be of %s", m, strings.Join(sasl.Mechanisms(), ", "))
		case slices.Contains(l.SASL.Mechanisms[:i], m):
			bad("sasl.mechanisms has %s twice", m)
		}
	}
	if r := l.SASL.MaxReauth; r != 0 && r < time.Second {
		bad("sasl.max_reauth is %v: must be 0 or at least 1s", r)
	}
}
