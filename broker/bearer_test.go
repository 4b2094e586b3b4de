package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
)

// bear checks tokens of the form name.seconds, which are good for so long from the time that the
// test began.
func bear(began time.Time) BearerCheck {
	return func(_ context.Context, token string) (string, time.Time, error) {
		name, life, _ := strings.Cut(token, ".")
		d, err := time.ParseDuration(life)
		if end := began.Add(d); err == nil && time.Now().Before(end) {
			return name, end, nil
		}
		return name, time.Time{}, errors.New("it has expired")
	}
}

var bearerOnly = &Listener{Name: "TOKENS", Mechanisms: []string{sasl.OAuthBearer}}

// withBearers runs in fake time with a broker that knows tokens.
func withBearers(t *testing.T, f func(*bouncer)) {
	withBouncer(t, nil, func(x *bouncer) {
		x.Broker.sasl = newSASL(&Deps{View: x.view, Bearer: bear(time.Now())})
		f(x)
	})
}

func (c *client) bearer(token string) *kmsg.SASLAuthenticateResponse {
	if resp := c.handshake(sasl.OAuthBearer); resp == nil || resp.ErrorCode != 0 {
		return nil
	}
	return c.token([]byte("n,,\x01auth=Bearer " + token + "\x01\x01"))
}

// A token's end is that of the session, if max_reauth isn't earlier. The client is told, and comes
// again with another token; if it doesn't, its next request ends the connection.
func TestSessionsEndWithTheirTokens(t *testing.T) {
	withBearers(t, func(x *bouncer) {
		for _, s := range []struct {
			most time.Duration
			want int64 // ms
		}{{0, 60_000}, {time.Hour, 60_000}, {10 * time.Second, 10_000}} {
			c := x.serve(&Listener{Mechanisms: []string{sasl.OAuthBearer}, MaxReauth: s.most})
			resp := c.bearer("alice.1m")
			if resp == nil || resp.ErrorCode != 0 || resp.SessionLifetimeMillis != s.want || len(resp.SASLAuthBytes) != 0 {
				t.Errorf("max_reauth %v: %+v", s.most, resp)
			}
			if !c.served() {
				t.Error("not served")
			}
			c.Close()
		}
		again, stays := x.serve(bearerOnly), x.serve(bearerOnly)
		for _, c := range []*client{again, stays} {
			if resp := c.bearer("alice.1m"); resp == nil || resp.ErrorCode != 0 {
				t.Fatalf("%+v", resp)
			}
		}
		time.Sleep(50 * time.Second)
		if resp := again.bearer("alice.2m"); resp == nil || resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 70_000 {
			t.Errorf("%+v", resp)
		}
		time.Sleep(10*time.Second - 1)
		if !stays.served() {
			t.Error("ended before its token")
		}
		time.Sleep(time.Nanosecond)
		if stays.served() {
			t.Error("served with a token that has expired")
		}
		if n := testutil.ToFloat64(x.auth.metrics.expired); n != 1 || !strings.Contains(x.log.String(), "token expired") {
			t.Errorf("%v sessions expired; log:\n%s", n, x.log)
		}
		if !again.served() {
			t.Error("a client with a new token isn't served")
		}
		// It can't become somebody else, or stay by a token that isn't good.
		for token, want := range map[string]string{"bob.3m": "Cannot change principals", "alice.1m": ""} {
			c := x.serve(bearerOnly)
			if resp := c.bearer("alice.3m"); resp == nil || resp.ErrorCode != 0 {
				t.Fatalf("%+v", resp)
			}
			time.Sleep(2 * time.Second)
			resp := c.bearer(token)
			if want == "" && resp != nil && resp.ErrorCode == 0 {
				resp = c.token([]byte{1})
			}
			if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || !strings.Contains(*resp.ErrorMessage, want) || c.served() {
				t.Errorf("again with %s: %+v", token, resp)
			}
		}
	})
}

// A client whose token isn't good hears why in RFC 7628's form, confirms, and hears it as Kafka's
// error. It is logged, counted and delayed once, when it is told first: else who doesn't confirm
// could try one token after the other.
func TestBadTokensAreToldAndCounted(t *testing.T) {
	withBearers(t, func(x *bouncer) {
		began := time.Now()
		c := x.serve(bearerOnly)
		resp := c.bearer("mallory.0s")
		if resp == nil || resp.ErrorCode != 0 || string(resp.SASLAuthBytes) != `{"status":"invalid_token"}` || resp.SessionLifetimeMillis != 0 {
			t.Fatalf("%+v", resp)
		}
		failures := func() float64 {
			return testutil.ToFloat64(x.auth.metrics.results.WithLabelValues(sasl.OAuthBearer, "failure"))
		}
		if d := time.Since(began); d != firstPenalty || failures() != 1 {
			t.Errorf("told after %v, %v failures", d, failures())
		}
		resp = c.token([]byte{1})
		if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage != `{"status":"invalid_token"}` || time.Since(began) != firstPenalty || failures() != 1 {
			t.Errorf("%+v after %v, %v failures", resp, time.Since(began), failures())
		}
		if c.served() {
			t.Error("served")
		}
		log := x.log.String()
		if !strings.Contains(log, "authentication failed") || !strings.Contains(log, "it has expired") || !strings.Contains(log, "user=mallory") || strings.Contains(log, "mallory.0s") {
			t.Errorf("log:\n%s", log)
		}
		for range 3 { // without confirming
			began = time.Now()
			c := x.serve(bearerOnly)
			c.bearer("mallory.0s")
			c.Close()
		}
		if d := time.Since(began); d != 8*firstPenalty || failures() != 4 {
			t.Errorf("the fourth one waits %v, %v failures", d, failures())
		}
		// Other requests aren't served in between.
		c = x.serve(bearerOnly)
		c.bearer("mallory.0s")
		if c.served() {
			t.Error("served instead of a confirmation")
		}
		// The error that says that a name is wrong comes at once.
		c = x.serve(bearerOnly)
		c.handshake(sasl.OAuthBearer)
		if resp := c.token([]byte("n,a=bob,\x01auth=Bearer alice.1h\x01\x01")); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || c.served() {
			t.Errorf("%+v", resp)
		}
	})
}

// The same by frames without headers, as after version 0 of the handshake.
func TestTokensInBareFrames(t *testing.T) {
	withBearers(t, func(x *bouncer) {
		for token, want := range map[string]string{"alice.1m": "", "alice.0s": `{"status":"invalid_token"}`} {
			c := x.serve(bearerOnly)
			req := kmsg.NewPtrSASLHandshakeRequest()
			req.Mechanism = sasl.OAuthBearer
			c.ask(req, 0)
			send := func(text string) {
				if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
					t.Error(err)
				}
			}
			send("n,,\x01auth=Bearer " + token + "\x01\x01")
			if got := c.frame(); got == nil || string(got) != want {
				t.Errorf("%s: %q", token, got)
			}
			if want != "" {
				send("\x01")
				if got := c.frame(); got != nil {
					t.Errorf("%q", got)
				}
				continue
			}
			if !c.served() {
				t.Error("not served")
			}
			time.Sleep(time.Minute)
			if c.served() {
				t.Error("served with a token that has expired")
			}
			x.Broker.sasl = newSASL(&Deps{View: x.view, Bearer: bear(time.Now())}) // map order
		}
	})
}

// The admin API takes the same tokens. One that isn't good is logged, counted and delayed as any failure, and
// who shows it isn't told why.
func TestTokensOnHTTP(t *testing.T) {
	withBearers(t, func(x *bouncer) {
		if who, err := x.AuthenticateToken(x.Context(), "10.0.0.1:5", "alice.1m"); err != nil || who != "User:alice" || !strings.Contains(x.log.String(), "mechanism=BEARER") {
			t.Errorf("%q, %v; log:\n%s", who, err, x.log)
		}
		for i, token := range []string{"mallory.0s", "", "a b", "alice.1m\x01a=b", "alice.1m\x01\x01"} {
			began := time.Now()
			if who, err := x.AuthenticateToken(x.Context(), "10.0.0.1:5", token); who != "" || !errors.Is(err, ErrToken) {
				t.Errorf("%q: %q, %v", token, who, err)
			}
			if d := time.Since(began); d != min(firstPenalty<<i, mostPenalty) {
				t.Errorf("failure %d was told after %v", i, d)
			}
		}
		if n := testutil.ToFloat64(x.auth.metrics.results.WithLabelValues(mechanismBearer, "failure")); n != 5 {
			t.Errorf("%v failures", n)
		}
		if log := x.log.String(); !strings.Contains(log, "user=mallory") || !strings.Contains(log, "it has expired") || strings.Contains(log, "mallory.0s") {
			t.Errorf("log:\n%s", log)
		}
	})
	withBouncer(t, nil, func(x *bouncer) {
		if who, err := x.AuthenticateToken(x.Context(), "10.0.0.1:5", "alice.1m"); err == nil {
			t.Errorf("%q is let in without tokens", who)
		}
	})
}
