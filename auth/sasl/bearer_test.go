package sasl

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"varve/internal/workbound"
)

var tomorrow = time.Unix(1_900_000_000, 0)

// bearers lets in who has the token "good-" and a name, and knows who has "old-" and a name.
func bearers() *Server {
	return NewServer(Options{Lookup: accounts{}.lookup, Bearer: func(ctx context.Context, token string) (string, time.Time, error) {
		if name, ok := strings.CutPrefix(token, "good-"); ok {
			return name, tomorrow, nil
		}
		if name, ok := strings.CutPrefix(token, "old-"); ok {
			return name, time.Time{}, errors.New("it has expired")
		}
		return "", time.Time{}, errors.New("it is no token")
	}})
}

func TestTokensLogIn(t *testing.T) {
	for _, message := range []string{
		"n,,\x01auth=Bearer good-alice\x01\x01", "y,,\x01auth=bearer good-alice\x01\x01", "n,a=alice,\x01auth=BEARER  good-alice\x01\x01",
		"n,,\x01auth=Bearer good-alice\x01traceId=1 2\t3\x01other=a=b\x01\x01", "n,,\x01first=x\x01auth=Bearer good-alice\x01\x01",
	} {
		e, err := bearers().Begin(OAuthBearer, "a")
		if err != nil {
			t.Fatal(err)
		}
		answer, who, err := e.Step(t.Context(), []byte(message))
		if err != nil || len(answer) > 0 || who == nil || who.User != "alice" || !who.Expires.Equal(tomorrow) || e.Claimed() != "alice" {
			t.Errorf("%q: %q, %+v, %v", message, answer, who, err)
		}
		if _, who, err := e.Step(t.Context(), []byte(message)); who != nil || !isFailure(err) {
			t.Errorf("%q counts twice", message)
		}
	}
}

// A client whose token isn't good hears so, confirms it, and hears it once more as the failure.
func TestBadTokensAreChallenged(t *testing.T) {
	for _, confirmed := range []string{"\x01", "", "n,,\x01auth=Bearer good-alice\x01\x01"} {
		e, _ := bearers().Begin(OAuthBearer, "a")
		_, who, err := e.Step(t.Context(), []byte("n,,\x01auth=Bearer old-alice\x01\x01"))
		var f *Failure
		if who != nil || !errors.As(err, &f) || string(f.Challenge) != `{"status":"invalid_token"}` || !strings.Contains(err.Error(), "expired") || e.Claimed() != "alice" {
			t.Fatalf("%v, %v", who, err)
		}
		_, who, err = e.Step(t.Context(), []byte(confirmed))
		if who != nil || !errors.As(err, &f) || f.Challenge != nil || f.Text != `{"status":"invalid_token"}` {
			t.Errorf("after %q: %v, %v", confirmed, who, err)
		}
		if _, who, err := e.Step(t.Context(), []byte("n,,\x01auth=Bearer good-alice\x01\x01")); who != nil || !isFailure(err) {
			t.Errorf("goes on: %v, %v", who, err)
		}
	}
}

func TestBearerMessagesAreStrict(t *testing.T) {
	for _, message := range []string{
		"", "\x01", "n,,", "n,,\x01", "n,,\x01\x01", "n,,\x01\x01\x01", "n,,\x01auth=Bearer good-alice\x01", "n,,\x01auth=Bearer good-alice", "n,\x01auth=Bearer good-alice\x01\x01",
		"p=tls-unique,,\x01auth=Bearer good-alice\x01\x01", "x,,\x01auth=Bearer good-alice\x01\x01", "n,,\x01auth=Basic good-alice\x01\x01", "n,,\x01auth=good-alice\x01\x01", "n,,\x01auth=Bearer\x01\x01", "n,,\x01auth=Bearer good alice\x01\x01",
		"n,,\x01auth=Bearer good-älice\x01\x01", "n,,\x01Auth=Bearer good-alice\x01\x01", "n,,\x01auth=Bearer good-alice\x01auth=Bearer good-bob\x01\x01", "n,,\x01auth=Bearer good-alice\x01a=1\x01a=2\x01\x01",
		"n,,\x01auth=Bearer good-alice\x01k1=v\x01\x01", "n,,\x01auth=Bearer good-alice\x01k=\x01\x01", "n,,\x01auth=Bearer good-alice\x01=v\x01\x01", "n,,\x01auth=Bearer good-alice\x01k=\xff\x01\x01", "n,,\x01auth=Bearer good-alice\x01k=\x00\x01\x01",
		"n,,\x01auth=Bearer good-alice\x01\x01\x01", "n,,\x01auth=Bearer good-alice\x01\x01x", "n,a=,\x01auth=Bearer good-alice\x01\x01", "n,a=al=ice,\x01auth=Bearer good-alice\x01\x01", "n,a=a,b,\x01auth=Bearer good-alice\x01\x01", "n,alice,\x01auth=Bearer good-alice\x01\x01",
		"n,,\x01auth=Bearer good-" + strings.Repeat("a", MaxMessage) + "\x01\x01", "\x00alice\x00good-alice",
	} {
		e, _ := bearers().Begin(OAuthBearer, "a")
		answer, who, err := e.Step(t.Context(), []byte(message))
		var f *Failure
		if who != nil || answer != nil || !errors.As(err, &f) || f.Challenge != nil || strings.Contains(err.Error(), "good") {
			t.Errorf("%.60q: %q, %v, %v", message, answer, who, err)
		}
	}
}

// A client that asks to be another user than the token's is refused.
func TestTokenOfAnother(t *testing.T) {
	e, _ := bearers().Begin(OAuthBearer, "a")
	if _, who, err := e.Step(t.Context(), []byte("n,a=bob,\x01auth=Bearer good-alice\x01\x01")); who != nil || !isFailure(err) || !strings.Contains(err.Error(), "different from the token's principal name") {
		t.Errorf("%v, %v", who, err)
	}
	e, _ = bearers().Begin(OAuthBearer, "a")
	if _, who, err := e.Step(t.Context(), []byte("n,a=b=2Cc,\x01auth=Bearer good-b\x01\x01")); who != nil || !isFailure(err) {
		t.Errorf("%v, %v", who, err)
	}
}

// An end of the connection is no failure of the client.
func TestEndedWaitIsNoFailure(t *testing.T) {
	s := NewServer(Options{Lookup: accounts{}.lookup, Bearer: func(ctx context.Context, _ string) (string, time.Time, error) { return "", time.Time{}, ctx.Err() }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, _ := s.Begin(OAuthBearer, "a")
	if _, _, err := e.Step(ctx, []byte("n,,\x01auth=Bearer x\x01\x01")); !errors.Is(err, context.Canceled) || isFailure(err) {
		t.Error(err)
	}
}

// Without something that checks tokens there is no such mechanism.
func TestTokensNeedACheck(t *testing.T) {
	if _, err := newAccounts(t, nil).server("k").Begin(OAuthBearer, "a"); err == nil {
		t.Error("OAUTHBEARER begins")
	}
}

func FuzzBearer(f *testing.F) {
	f.Add([]byte("n,a=alice,\x01auth=Bearer token\x01k=v\x01\x01"), []byte("\x01"))
	f.Add([]byte("n,,\x01auth=Bearer old-a\x01\x01"), []byte(""))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		e, err := bearers().Begin(OAuthBearer, "a")
		if err != nil {
			t.Fatal(err)
		}
		workbound.Check(t, len(one)+len(two)+4096, func() {
			for _, message := range [][]byte{one, two} {
				if _, who, err := e.Step(t.Context(), message); who != nil && !strings.Contains(string(message), "good-") {
					t.Fatalf("%q is let in", message)
				} else if err != nil && !isFailure(err) {
					t.Fatal(err)
				}
			}
		})
	})
}
