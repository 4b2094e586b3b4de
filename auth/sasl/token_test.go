package sasl

import (
	"context"
	"strings"
	"testing"
	"time"

	franz "github.com/twmb/franz-go/pkg/sasl/scram"
)

// issued has the token id of alice, whose HMAC is password.
func issued(t *testing.T, expires time.Time) *Server {
	t.Helper()
	users := newAccounts(t, map[string]string{"alice": "secret", "id": "secret"}, ScramSHA256, ScramSHA512)
	tokens := newAccounts(t, map[string]string{"id": "hmac"}, ScramSHA256, ScramSHA512)
	return NewServer(Options{Lookup: users.lookup, Secret: []byte("k"), Token: func(id, mechanism string) (TokenCredential, bool) {
		c, ok := tokens.lookup(id, mechanism)
		return TokenCredential{c, "alice", expires}, ok
	}})
}

// byToken logs in with franz-go's client.
func byToken(t *testing.T, s *Server, mechanism string, auth franz.Auth) (who *Identity, err error) {
	t.Helper()
	m := auth.AsSha512Mechanism()
	if mechanism == ScramSHA256 {
		m = auth.AsSha256Mechanism()
	}
	session, message, err := m.Authenticate(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Begin(mechanism, "")
	if err != nil {
		t.Fatal(err)
	}
	for {
		answer, who, err := e.Step(t.Context(), message)
		if err != nil {
			return nil, err
		}
		done, next, err := session.Challenge(answer)
		if err != nil {
			t.Fatalf("the client doesn't believe the server: %v", err)
		}
		if done != (who != nil) {
			t.Fatalf("over for the client: %v, for the server: %v", done, who)
		}
		if done {
			return who, nil
		}
		message = next
	}
}

// A delegation token logs in its owner, by either mechanism of SCRAM, until it expires. It is no
// password, and a password is no token.
func TestDelegationTokensLogIn(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	s := issued(t, expires)
	for _, m := range []string{ScramSHA256, ScramSHA512} {
		who, err := byToken(t, s, m, franz.Auth{User: "id", Pass: "hmac", IsToken: true})
		if err != nil || *who != (Identity{"alice", expires, "id"}) {
			t.Errorf("%s: %+v, %v", m, who, err)
		}
		for name, auth := range map[string]franz.Auth{
			"another HMAC":         {User: "id", Pass: "cmah", IsToken: true},
			"an unknown token":     {User: "di", Pass: "hmac", IsToken: true},
			"a user's password":    {User: "alice", Pass: "secret", IsToken: true},
			"a token's, as a user": {User: "id", Pass: "hmac"},
		} {
			if who, err := byToken(t, s, m, auth); who != nil || !isFailure(err) {
				t.Errorf("%s, %s: %+v, %v", m, name, who, err)
			}
		}
		if who, err := byToken(t, s, m, franz.Auth{User: "alice", Pass: "secret"}); err != nil || *who != (Identity{User: "alice"}) {
			t.Errorf("%s, a user: %+v, %v", m, who, err)
		}
	}
	if _, who, err := login(t, s, Plain, "id", "hmac", ""); who != nil || !isFailure(err) {
		t.Errorf("PLAIN: %+v, %v", who, err)
	}
	if who, err := byToken(t, NewServer(Options{Lookup: accounts{}.lookup}), ScramSHA512, franz.Auth{User: "id", Pass: "hmac", IsToken: true}); who != nil || !isFailure(err) {
		t.Errorf("without tokens: %+v, %v", who, err)
	}
}

// The extension is read as Kafka reads it. The salt tells whether it was: a token's is another
// than the user's of the same name, and so are those that are made up.
func TestExtensionOfTokens(t *testing.T) {
	s := issued(t, time.Now().Add(time.Hour))
	for _, name := range []string{"id", "nobody"} {
		salt := func(extensions string) string {
			t.Helper()
			e, _ := s.Begin(ScramSHA512, "")
			answer, _, err := e.Step(t.Context(), []byte("n,,n="+name+",r=abc"+extensions))
			if err != nil {
				t.Fatal(err)
			}
			_, salt, _ := strings.Cut(string(answer), ",s=")
			return salt
		}
		user, token := salt(""), salt(",tokenauth=true")
		if user == token || len(user) != len(token) {
			t.Errorf("%s: salt %q as a user, %q as a token", name, user, token)
		}
		for extensions, want := range map[string]string{
			",tokenauth=TRUE": token, ",a=b,tokenauth=true": token, ",tokenauth=true,a=b": token, ",tokenauth=false,tokenauth=true": token,
			",tokenauth=false": user, ",tokenauth=": user, ",tokenauth": user, ",tokenauth=true,tokenauth=no": user, ",xtokenauth=true": user, ",": user, ",,,": user, ",a=tokenauth=true": user,
		} {
			if got := salt(extensions); got != want {
				t.Errorf("%s%s: salt %q", name, extensions, got)
			}
		}
	}
}
