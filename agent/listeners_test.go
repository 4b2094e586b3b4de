package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/vfs"
)

// What doesn't fit together is refused with the setting's name, and what to do.
func TestListenersAreValidated(t *testing.T) {
	tls := ListenerTLS{CertFile: "c", KeyFile: "k"}
	for _, c := range []struct {
		l    Listener
		want string // "": it is fine
	}{
		{Listener{}, ""},
		{Listener{Protocol: "PLAINTEXT"}, ""},
		{Listener{Protocol: "TLS"}, `protocol is "TLS": must be PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`},
		{Listener{Protocol: "ssl", TLS: tls}, `protocol is "ssl"`},
		{Listener{Protocol: "SSL"}, "tls.cert_file is empty"},
		{Listener{Protocol: "SSL", TLS: tls}, ""},
		{Listener{Name: "SSL", TLS: tls}, ""},
		{Listener{Name: "ssl", TLS: tls}, ""},
		{Listener{Name: "SSL"}, "tls.key_file is empty: protocol SSL needs it"},
		{Listener{Name: "SSL", Protocol: "PLAINTEXT"}, "another protocol than PLAINTEXT"},
		{Listener{Name: "PLAINTEXT", Protocol: "SSL", TLS: tls}, "another protocol than SSL"},
		{Listener{Name: "SASL_PLAINTEXT"}, ""},
		{Listener{Protocol: "SASL_SSL", TLS: tls, SASL: ListenerSASL{Mechanisms: []string{"PLAIN", "SCRAM-SHA-256"}}}, ""},
		{Listener{TLS: tls}, "tls is given, but the listener's protocol is PLAINTEXT"},
		{Listener{Protocol: "SSL", TLS: tls, SASL: ListenerSASL{Mechanisms: []string{"PLAIN"}}}, "sasl is given, but the listener's protocol is SSL"},
		{Listener{Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{Mechanisms: []string{"NTLM"}}}, `sasl.mechanisms has "NTLM"`},
		{Listener{Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{Mechanisms: []string{"PLAIN", "GSSAPI"}}}, "sasl.mechanisms has GSSAPI, but there are no keys of the service: set security.kerberos.keytab_file"},
		{Listener{Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{Mechanisms: []string{"PLAIN", "OAUTHBEARER"}}}, "sasl.mechanisms has OAUTHBEARER, but security.oauth does not say which tokens are good: set security.oauth.jwks_url"},
		{Listener{Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{Mechanisms: []string{"PLAIN", "PLAIN"}}}, "PLAIN twice"},
		{Listener{Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{MaxReauth: 1}}, "sasl.max_reauth is 1ns"},
		{Listener{Protocol: "SSL", TLS: ListenerTLS{CertFile: "c", KeyFile: "k", ClientAuth: "want"}}, `tls.client_auth is "want"`},
		{Listener{Protocol: "SSL", TLS: ListenerTLS{CertFile: "c", KeyFile: "k", ClientAuth: "required"}}, "tls.client_ca_file is empty"},
		{Listener{Protocol: "SSL", TLS: ListenerTLS{CertFile: "c", KeyFile: "k", MinVersion: "1.1"}}, `tls.min_version is "1.1"`},
		{Listener{Protocol: "SSL", TLS: tls, Rules: []string{"RULE:^(?=x)$/$1/"}}, "RE2"},
		{Listener{Rules: []string{"DEFAULT"}}, "without certificates"},
	} {
		l := c.l
		if l.Name == "" {
			l.Name = "CLIENTS"
		}
		l.Bind = "127.0.0.1:0"
		cfg := DefaultConfig()
		cfg.Listeners = []Listener{l}
		err := cfg.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "listeners[0].")) {
			t.Errorf("%+v: %v, want %q", c.l, err, c.want)
		}
	}
}

// The first user's password is in no error, and a file that others can read isn't used.
func TestFirstUserOfSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "first")
	for _, c := range []struct {
		content string
		mode    os.FileMode
		fine    bool
	}{
		{"admin:hunter2\n", 0o600, true}, {"admin:se:cret", 0o440, true}, {"admin:hunter2\n", 0o644, false}, {"hunter2\n", 0o600, false},
		{":hunter2\n", 0o600, false}, {"admin:\n", 0o600, false}, {"admin:hunter2\nb:hunter2\n", 0o600, false}, {"", 0o600, false},
	} {
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		s := SecurityConfig{BootstrapUserFile: file}
		name, password, ok, err := s.firstUser(vfs.OS{})
		if ok != c.fine || (err == nil) != c.fine || c.fine && (name != "admin" || name+":"+password != strings.TrimSpace(c.content)) {
			t.Errorf("%q, mode %o: %q, %q, %v, %v", c.content, c.mode, name, password, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	both := SecurityConfig{BootstrapUserFile: file, BootstrapUser: "a:b"}
	if err := both.validate(); err == nil {
		t.Error("two first users")
	}
	if err := (&SecurityConfig{BootstrapUser: "hunter2"}).validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
