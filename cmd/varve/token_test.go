package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"varve/agent"
	"varve/auth/sasl"
)

// issuer makes tokens, with a key whose public half is in a file.
type issuer struct {
	*testing.T
	key *ecdsa.PrivateKey
	dir string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t, key, t.TempDir()}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	i.write("keys.json", string(set), 0o644)
	return i
}

func (i *issuer) write(name, content string, mode os.FileMode) string {
	i.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		i.Fatal(err)
	}
	return path
}

// token writes a file with a token.
func (i *issuer) token(subject string, life time.Duration) (file string) {
	i.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, new(jose.SignerOptions).WithHeader("kid", "k"))
	if err != nil {
		i.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"iss": "https://idp", "aud": "varve", "sub": subject, "exp": time.Now().Add(life).Unix()})
	if err != nil {
		i.Fatal(err)
	}
	signed, err := s.Sign(b)
	if err != nil {
		i.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.Fatal(err)
	}
	return i.write("token-"+subject, text+"\n", 0o600)
}

// believed has the first listener of an agent accept the issuer's tokens, and nothing else.
func (i *issuer) believed(c *agent.Config) {
	c.Security.OAuth.JWKSFile, c.Security.OAuth.Issuer, c.Security.OAuth.Audience = filepath.Join(i.dir, "keys.json"), "https://idp", "varve"
	c.Listeners[0] = agent.Listener{Name: "TOKENS", Bind: "127.0.0.1:0", Protocol: "SASL_PLAINTEXT", SASL: agent.ListenerSASL{Mechanisms: []string{"OAUTHBEARER"}}}
}

// Commands log in by a token in a file, by flags or a profile.
func TestCommandsWithTokens(t *testing.T) {
	profilesIn(t)
	i := newIssuer(t)
	a := startAgent(t, i.believed)
	alice, late := i.token("alice", time.Hour), i.token("late", -time.Hour)
	must(t, "", "topic create orders --sasl oauthbearer --password-file "+alice)
	must(t, "a\n", "produce orders --user alice --sasl OAUTHBEARER --password-file "+alice)
	if out := must(t, "", "topic list --sasl OAUTHBEARER --password-file "+alice); !strings.Contains(out, "orders") {
		t.Error(out)
	}
	wants(t, command(t, "", "topic list --sasl OAUTHBEARER --password-file "+late), exitFailed, "the token is not good")
	wants(t, command(t, "", "topic list --user bob --sasl OAUTHBEARER --password-file "+alice), exitFailed, "failed")
	wants(t, command(t, "", "topic list --sasl OAUTHBEARER"), exitUsage, "OAUTHBEARER needs a token: --password-file")
	wants(t, command(t, "", "topic list --user alice --password-file "+alice), exitFailed, "doesn't offer this SASL mechanism; it offers OAUTHBEARER: --sasl OAUTHBEARER")
	public := i.write("public", "x", 0o644)
	wants(t, command(t, "", "topic list --sasl OAUTHBEARER --password-file "+public), exitUsage, "chmod")

	must(t, "", "profile create tokens --brokers "+a.kafka+" --sasl OAUTHBEARER --password-file "+alice)
	if out := must(t, "", "topic list"); !strings.Contains(out, "orders") {
		t.Error(out)
	}
	if out := must(t, "", "profile list"); !strings.Contains(out, "OAUTHBEARER") {
		t.Error(out)
	}
	// A renewed file is used.
	if err := os.Rename(late, alice); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "topic list"), exitFailed, "the token is not good")
}

// A token of a profile isn't sent as a password, nor the other way around.
func TestTokensAndPasswordsStayApart(t *testing.T) {
	tokens, passwords := &profile{SASL: sasl.OAuthBearer, PasswordFile: "/token"}, &profile{User: "alice", PasswordFile: "/secret"}
	tickets := &profile{SASL: sasl.GSSAPI, User: "alice", PasswordFile: "/kerberos"}
	for name, x := range map[string]struct {
		c          connection
		p          *profile
		user, file string
		mechanism  string
		wrong      string
	}{
		"token":                    {connection{}, tokens, "", "/token", sasl.OAuthBearer, ""},
		"other token":              {connection{passwordFile: "/other"}, tokens, "", "/other", sasl.OAuthBearer, ""},
		"token, password given":    {connection{mechanism: sasl.Plain}, tokens, "", "", sasl.Plain, "sasl needs a user"},
		"user given, not of token": {connection{user: "bob"}, tokens, "bob", "", sasl.ScramSHA512, ""},
		"password":                 {connection{}, passwords, "alice", "/secret", sasl.ScramSHA512, ""},
		"password, token given":    {connection{mechanism: sasl.OAuthBearer, passwordFile: "/token"}, passwords, "", "/token", sasl.OAuthBearer, ""},
		"password isn't a token":   {connection{mechanism: sasl.OAuthBearer}, passwords, "", "", sasl.OAuthBearer, ""},
		"ticket":                   {connection{}, tickets, "alice", "/kerberos", sasl.GSSAPI, ""},
		"ticket of kinit":          {connection{mechanism: sasl.GSSAPI}, passwords, "", "", sasl.GSSAPI, ""},
		"ticket, password given":   {connection{mechanism: sasl.Plain, user: "alice"}, tickets, "alice", "", sasl.Plain, ""},
		"ticket, token given":      {connection{mechanism: sasl.OAuthBearer}, tickets, "", "", sasl.OAuthBearer, ""},
		"keytab, password before":  {connection{keytab: "/tab"}, tickets, "alice", "", sasl.GSSAPI, ""},
		"keytab without a user":    {connection{mechanism: sasl.GSSAPI, keytab: "/tab"}, passwords, "", "", sasl.GSSAPI, "a keytab needs"},
		"keytab without GSSAPI":    {connection{keytab: "/tab"}, passwords, "alice", "", sasl.ScramSHA512, "a keytab needs"},
	} {
		got := x.c.over(x.p)
		err := got.check()
		if got.user != x.user || got.passwordFile != x.file || got.saslMechanism() != x.mechanism || (err == nil) != (x.wrong == "") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
