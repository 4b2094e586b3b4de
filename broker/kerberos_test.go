package broker

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
)

// established is a security context that protects nothing, of the user that the token names.
type established string

func (e established) Reply() []byte                   { return []byte("kafka") }
func (e established) Wrap(b []byte) ([]byte, error)   { return b, nil }
func (e established) Unwrap(b []byte) ([]byte, error) { return b, nil }
func (e established) Names() ([]string, string)       { return []string{string(e) + "@R"}, string(e) }

var kerberosOnly = &Listener{Name: "TICKETS", Mechanisms: []string{sasl.GSSAPI}}

// withTickets runs in fake time with a broker that takes every token but "old" for a ticket of who it
// names.
func withTickets(t *testing.T, f func(*bouncer)) {
	withBouncer(t, nil, func(x *bouncer) {
		x.Broker.sasl = newSASL(&Deps{View: x.view, Kerberos: func(token []byte) (sasl.SecurityContext, string, error) {
			if string(token) == "old" {
				return nil, "mallory@R", errors.New("the ticket has expired")
			}
			return established(token), string(token) + "@R", nil
		}})
		f(x)
	})
}

// layer is the client's last message: it wants no security layer.
const layer = "\x01\x00\x00\x00"

// A client gets in in three requests. How long its ticket is good doesn't matter, as for Kafka:
// only max_reauth ends its session.
func TestTicketsLogIn(t *testing.T) {
	withTickets(t, func(x *bouncer) {
		for _, most := range []time.Duration{0, 10 * time.Second} {
			c := x.serve(&Listener{Mechanisms: []string{sasl.GSSAPI}, MaxReauth: most})
			c.handshake(sasl.GSSAPI)
			for _, s := range []struct{ say, hear string }{{"alice", "kafka"}, {"", layer}, {layer, ""}} {
				resp := c.token([]byte(s.say))
				if resp == nil || resp.ErrorCode != 0 || string(resp.SASLAuthBytes) != s.hear || s.hear == "" && resp.SessionLifetimeMillis != most.Milliseconds() {
					t.Fatalf("%q: %+v", s.say, resp)
				}
			}
			if !c.served() || !strings.Contains(x.log.String(), "client.principal=User:alice") {
				t.Errorf("log:\n%s", x.log)
			}
		}
	})
}

// A client that fails for another reason than a moment ago is logged again, also if it isn't known who it is. One
// that fails for the same reason isn't, and a network has its bound.
func TestReasonsAreLogged(t *testing.T) {
	var out lines
	a := newAuthentication(&Deps{Audit: slog.New(slog.NewTextHandler(&out, nil)), Registry: prometheus.NewRegistry()}, newMetrics(nil))
	c := &caller{principal: anonymous, host: "10.0.0.1", listener: kerberosOnly.Name}
	for _, f := range []struct {
		why   string
		lines int // in all
	}{{"the token is malformed", 1}, {"the clocks differ by 6m1s", 2}, {"the token is malformed", 2}, {"the clocks differ by 6m2s", 2}, {"the clocks differ by 12m0s", 2}} {
		a.failed(sasl.GSSAPI, "", c, errors.New(f.why))
		if n := strings.Count(out.String(), "authentication failed"); n != f.lines {
			t.Errorf("%s: %d lines, want %d", f.why, n, f.lines)
		}
	}
	for i := range 3 * quietEach {
		a.failed(sasl.GSSAPI, "", c, errors.New(strings.Repeat("x", i)))
	}
	if n := strings.Count(out.String(), "authentication failed"); n != quietEach {
		t.Errorf("%d lines", n)
	}
}

// A ticket that isn't good is told as any failure, later the more there are, and the log says whose it is.
func TestBadTicketsAreCounted(t *testing.T) {
	withTickets(t, func(x *bouncer) {
		for i := range 3 {
			began := time.Now()
			c := x.serve(kerberosOnly)
			c.handshake(sasl.GSSAPI)
			resp := c.token([]byte("old"))
			if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage != "Authentication failed during authentication due to invalid credentials with SASL mechanism GSSAPI" || c.served() {
				t.Errorf("%+v", resp)
			}
			if d := time.Since(began); d != firstPenalty<<i {
				t.Errorf("answer %d came after %v", i, d)
			}
		}
		if n := testutil.ToFloat64(x.auth.metrics.results.WithLabelValues(sasl.GSSAPI, "failure")); n != 3 {
			t.Errorf("%v failures", n)
		}
		if log := x.log.String(); !strings.Contains(log, "user=mallory@R") || !strings.Contains(log, "the ticket has expired") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// In frames without headers the last one is the client's, as by Kafka: what follows is the answer to
// its first request.
func TestTicketsInBareFrames(t *testing.T) {
	withTickets(t, func(x *bouncer) {
		c := x.serve(kerberosOnly)
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = sasl.GSSAPI
		c.ask(req, 0)
		for _, s := range []struct{ say, hear string }{{"alice", "kafka"}, {"", layer}, {layer, ""}} {
			if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(s.say))), s.say...)); err != nil {
				t.Fatal(err)
			}
			if s.hear == "" {
				break
			}
			if got := c.frame(); string(got) != s.hear {
				t.Fatalf("%q: %q", s.say, got)
			}
		}
		if !c.served() {
			t.Error("not served")
		}
	})
}
