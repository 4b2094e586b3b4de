package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestSecurityConfig(t *testing.T) {
	c := DefaultConfig()
	if c.Security.Authorizer != AuthorizerNone || c.Security.broker().ACLs {
		t.Error("ACLs are on by default")
	}
	c.Security.AuthorizerConfig = AuthorizerConfig{Authorizer: AuthorizerACL, SuperUsers: []string{"User:admin"}}
	if err := c.Validate(); err != nil || !c.Security.broker().ACLs {
		t.Error(err)
	}
	c.Security.AuthorizerConfig = AuthorizerConfig{Authorizer: "simple", SuperUsers: []string{"User:admin", "admin"}}
	err := c.Validate()
	for _, want := range []string{`security.authorizer is "simple": must be none or acl`, `security.super_users[1] is "admin": must be Type:name`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
}

// Settings that allow more, or less, than they seem to are logged.
func TestAccessIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		acls   int
		says   string // "": nothing
	}{
		{func(*Config) {}, 0, ""},
		{func(*Config) {}, 2, "the cluster has ACLs, but this agent doesn't ask them"},
		{func(c *Config) { c.Listeners[0].Name = "SASL_SSL" }, 0, "every user may do everything"},
		{func(c *Config) { c.Security.SuperUsers = []string{"User:a"} }, 0, "super_users and allow_everyone_if_no_acl_found are without effect"},
		{func(c *Config) { c.Security.AllowEveryone = true }, 0, "everybody may do everything"},
		{func(c *Config) {
			c.Listeners[0].Name, c.Listeners[0].TLS = "SSL", ListenerTLS{CertFile: "a", KeyFile: "b", ClientCA: "c"}
		}, 0, "no client is asked for a certificate"},
		{func(c *Config) { c.Security.Authorizer, c.Peer.Bind = AuthorizerACL, "" }, 2, "there are no super users"},
		{func(c *Config) {
			c.Security.Authorizer, c.Security.SuperUsers, c.Peer.Bind = AuthorizerACL, []string{"User:a"}, ""
		}, 2, ""},
		{func(c *Config) { c.Security.Authorizer, c.Security.SuperUsers = AuthorizerACL, []string{"User:a"} }, 2, "peer.tls keeps others out"},
		{func(c *Config) {
			c.Security.Authorizer, c.Security.SuperUsers, c.Peer.TLS.CAFile = AuthorizerACL, []string{"User:a"}, "ca.crt"
		}, 2, ""},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		var out bytes.Buffer
		warnOfAccess(&cfg, c.acls, slog.New(slog.NewTextHandler(&out, nil)))
		if !strings.Contains(out.String(), c.says) || (c.says == "") != (out.Len() == 0) {
			t.Errorf("%+v: %q, want %q", cfg.Security, out.String(), c.says)
		}
	}
}

func TestBadHTTPSettingsAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Config){
		"http_auth is \"basic \"": func(c *Config) { c.HTTPAuth = "basic " },
		"http_auth is \"token\"":  func(c *Config) { c.HTTPAuth = "token" },
		"http_tls.key_file":       func(c *Config) { c.HTTPTLS.CertFile = "a" },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}
