package broker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"varve/auth/sasl"
	"varve/auth/token"
)

// begun begins a login by SCRAM, and returns the client's last message.
func (c *client) begun(auth scram.Auth) (last []byte) {
	c.Helper()
	if h := c.handshake(sasl.ScramSHA512); h == nil || h.ErrorCode != 0 {
		c.Fatalf("%+v", h)
	}
	session, message, err := auth.AsSha512Mechanism().Authenticate(context.Background(), "")
	if err != nil {
		c.Fatal(err)
	}
	resp := c.token(message)
	if resp == nil || resp.ErrorCode != 0 {
		c.Fatalf("%+v", resp)
	}
	if _, last, err = session.Challenge(resp.SASLAuthBytes); err != nil {
		c.Fatal(err)
	}
	return last
}

// until asks for the versions of APIs every second, and returns after how long the connection
// ended; most if it didn't.
func (c *client) until(most time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < most {
		time.Sleep(time.Second)
		if c.ask(kmsg.NewPtrApiVersionsRequest(), 3) == nil {
			return time.Since(began)
		}
	}
	return most
}

// A re-authentication has the time of a first login, whatever the client asks for meanwhile. One
// that ends in time leaves no deadline.
func TestReauthenticationHasADeadline(t *testing.T) {
	auth := scram.Auth{User: "alice", Pass: "secret"}
	withTickets(t, func(x *bouncer) {
		most := x.cfg.RequestTimeout
		l := &Listener{Mechanisms: []string{sasl.ScramSHA512, sasl.GSSAPI}, MaxReauth: time.Minute}
		for name, again := range map[string]func(*client){
			"SCRAM, the handshake": func(c *client) { c.handshake(sasl.ScramSHA512) },
			"SCRAM, one message":   func(c *client) { c.begun(auth) },
		} {
			c := x.serve(l)
			c.token(c.begun(auth))
			time.Sleep(30 * time.Second)
			again(c)
			if took := c.until(2 * most); took < most-time.Second || took > most+2*time.Second {
				t.Errorf("%s: cut off after %v", name, took)
			}
		}
		c := x.serve(l)
		c.handshake(sasl.GSSAPI)
		for _, s := range []string{"alice", "", layer} {
			c.token([]byte(s))
		}
		time.Sleep(30 * time.Second)
		c.handshake(sasl.GSSAPI)
		c.token([]byte("alice"))
		if took := c.until(2 * most); took < most-time.Second || took > most+2*time.Second {
			t.Errorf("GSSAPI: cut off after %v", took)
		}
		if !strings.Contains(x.log.String(), errLate.Error()) {
			t.Errorf("log:\n%s", x.log)
		}
		l.MaxReauth = time.Hour
		c = x.serve(l)
		c.token(c.begun(auth))
		time.Sleep(30 * time.Second)
		last := c.begun(auth)
		time.Sleep(most - time.Second)
		if resp := c.token(last); resp == nil || resp.ErrorCode != 0 {
			t.Fatalf("just in time: %+v", resp)
		}
		if took := c.until(3 * most); took != 3*most || !c.served() {
			t.Errorf("cut off %v after it had authenticated again", took)
		}
	})
}

// What is deleted or changed after the first message of a login doesn't let anybody in.
func TestLoginEndsWithItsCredential(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		l := &Listener{Mechanisms: sasl.PasswordMechanisms(), MaxReauth: time.Minute}
		alice := x.as("alice")
		made := alice.createToken(-1)
		for _, s := range []struct {
			name   string
			auth   scram.Auth
			change func()
		}{
			{"token deleted", scram.Auth{User: made.TokenID, Pass: token.Password(made.HMAC), IsToken: true}, func() { alice.expireToken(made.HMAC, -1) }},
			{"password changed", scram.Auth{User: "alice", Pass: "secret"}, func() { x.set("alice", "other") }},
			{"user deleted", scram.Auth{User: "alice", Pass: "other"}, func() { x.set("alice", "") }},
			{"no change", scram.Auth{User: "bob", Pass: "secret"}, nil},
		} {
			first, again := x.serve(l), x.serve(l)
			if resp := again.token(again.begun(s.auth)); resp == nil || resp.ErrorCode != 0 {
				t.Fatalf("%s: %+v", s.name, resp)
			}
			time.Sleep(20 * time.Second)
			lasts := map[*client][]byte{first: first.begun(s.auth), again: again.begun(s.auth)}
			want := int16(0)
			if s.change != nil {
				s.change()
				want = kerr.SaslAuthenticationFailed.Code
			}
			for c, last := range lasts {
				if resp := c.token(last); resp == nil || resp.ErrorCode != want {
					t.Errorf("%s, again %v: %+v", s.name, c == again, resp)
				}
			}
		}
	})
}
