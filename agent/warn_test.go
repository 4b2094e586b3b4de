package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"varve/auth/kerberos"
	"varve/auth/sasl"
	"varve/internal/vfs"
)

// warnings returns what is logged.
func warnings(do func(*slog.Logger)) string {
	var out bytes.Buffer
	do(slog.New(slog.NewTextHandler(&out, nil)))
	return out.String()
}

// The agent warns of mechanisms that need TLS on listeners without it.
func TestPlainListenersAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		protocol, mechanism, says string // "": nothing
	}{
		{protocolSASL, sasl.Plain, "passwords are sent unencrypted"}, {protocolSASL, sasl.OAuthBearer, "tokens are sent unencrypted"},
		{protocolSASL, sasl.GSSAPI, "the listener offers GSSAPI without TLS"}, {protocolSASL, sasl.ScramSHA512, ""}, {protocolSASLOnTLS, sasl.GSSAPI, ""},
	} {
		l := Listener{Name: "CLIENTS", Protocol: c.protocol, SASL: ListenerSASL{Mechanisms: []string{c.mechanism}}}
		got := warnings(func(log *slog.Logger) { warnOfPlain([]Listener{l}, log) })
		if !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("%+v: %q", c, got)
		}
		cfg := Config{Listeners: []Listener{l}}
		if plain := c.protocol == protocolSASL; cfg.offersPlain(c.mechanism) != plain || cfg.offersPlain(sasl.ScramSHA256) {
			t.Errorf("%+v is taken for something else", c)
		}
	}
}

// The agent logs a warning for each setting that has no effect or that keeps everybody out.
func TestUnusedSettingsAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		users  int
		says   string // "": nothing
	}{
		{func(*Config) {}, 0, ""},
		{func(c *Config) { c.Security.Kerberos.KeytabFile = "keytab" }, 0, "security.kerberos is without effect"},
		{func(c *Config) {
			c.Security.Kerberos.KeytabFile = "keytab"
			c.Listeners[0].Name, c.Listeners[0].SASL.Mechanisms = "SASL_SSL", []string{sasl.GSSAPI}
		}, 0, ""},
		{func(c *Config) { c.HTTPAuth = HTTPBasic }, 0, "the cluster has no users"},
		{func(c *Config) { c.Security.Authorizer = AuthorizerACL }, 0, "the cluster has no users"},
		{func(c *Config) { c.HTTPAuth = HTTPBasic }, 1, ""},
		{func(c *Config) { c.HTTPAuth, c.HTTP = HTTPBasic, "" }, 0, ""},
		{func(c *Config) { c.HTTPAuth, c.Security.OAuth.JWKSFile = HTTPBasic, "keys.json" }, 0, ""},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		got := warnings(func(log *slog.Logger) { warnOfUnused(&cfg, c.users, log) })
		if !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("%q, want %q", got, c.says)
		}
	}
}

// The agent warns of an advertised host for which the keytab has no key.
func TestHostsWithoutKeyAreWarnedOf(t *testing.T) {
	tab := keytab.New()
	if err := tab.AddEntry("kafka/broker-1.example", "R", "secret", time.Unix(1, 0), 1, 17); err != nil {
		t.Fatal(err)
	}
	b, err := tab.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	cfg := kerberos.DefaultConfig()
	cfg.KeytabFile = filepath.Join(t.TempDir(), "keytab")
	if err := os.WriteFile(cfg.KeytabFile, b, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := kerberos.Open(cfg, kerberos.Deps{FS: vfs.OS{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		advertised, mechanism string
		warns                 bool
	}{
		{"broker-1.example:9093", sasl.GSSAPI, false}, {"", sasl.GSSAPI, false}, {"broker-2.example:9093", sasl.GSSAPI, true}, {"broker-2.example:9093", sasl.Plain, false},
	} {
		l := Listener{Name: "SASL_SSL", Advertised: c.advertised, SASL: ListenerSASL{Mechanisms: []string{c.mechanism}}}
		got := warnings(func(log *slog.Logger) { warnOfHosts([]Listener{l}, a, log) })
		if strings.Contains(got, "wanted=kafka/broker-2.example") != c.warns || (got != "") != c.warns {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The agent warns at the start and each day that peer.tls is optional.
func TestOptionalTLSIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 49*time.Hour)
		defer cancel()
		got := warnings(func(log *slog.Logger) { warnOfOptional(ctx, log) })
		if n := strings.Count(got, "peer.tls.optional is true"); n != 3 {
			t.Errorf("%d warnings: %s", n, got)
		}
	})
}
