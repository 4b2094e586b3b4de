package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"

	"varve/auth/sasl"
	"varve/auth/token"
	"varve/cluster"
	"varve/metadata"
	"varve/metadata/schema"
)

// bouncer is a broker that knows users, and has connections over pipes.
type bouncer struct {
	*testing.T
	*Broker
	editor *cluster.Editor
	view   *cluster.View
	serve  func(l *Listener) *client
	from   func(address string, l *Listener) *client
	log    *lines
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// set gives a user a password, or takes all that it has.
func (x *bouncer) set(name, password string) {
	x.Helper()
	for mechanism, number := range scramMechanisms {
		change := cluster.ScramChange{Mechanism: number}
		if password != "" {
			c, err := sasl.NewCredential(mechanism, password, sasl.MinIterations, nil)
			if err != nil {
				x.Fatal(err)
			}
			change.Credential = &schema.ScramCredential{Iterations: int32(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}
		}
		if err := x.editor.AlterUser(x.Context(), name, change); err != nil {
			x.Fatal(err)
		}
	}
}

// pipeEnd is an end of a pipe that has an address.
type pipeEnd struct {
	net.Conn
	from string
}

func (p pipeEnd) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(p.from), Port: 1}
}

// withBouncer runs in fake time.
func withBouncer(t *testing.T, change func(*Config), f func(*bouncer)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		if change != nil {
			change(&cfg)
		}
		x := &bouncer{T: t, log: new(lines)}
		log := slog.New(slog.NewTextHandler(x.log, nil))
		store := metadata.NewMemory().Open()
		ctx, cancel := context.WithCancel(t.Context())
		view := cluster.NewView(store, log)
		go view.Run(ctx)
		<-view.Ready()
		x.view, x.editor = view, cluster.NewEditor(view, store, nil)
		x.set("alice", "secret")
		x.set("bob", "secret")
		b, err := New(cfg, Deps{View: view, Editor: x.editor, Secret: []byte("k"), Log: log, Registry: prometheus.NewRegistry(), Tokens: issuer})
		if err != nil {
			t.Fatal(err)
		}
		x.Broker = b
		defer func() {
			cancel()
			b.Drain(t.Context())
			store.Close()
		}()
		x.from = func(address string, l *Listener) *client {
			here, there := net.Pipe()
			b.accept(ctx, l, pipeEnd{there, address})
			return &client{T: t, Conn: here}
		}
		x.serve = func(l *Listener) *client { return x.from("10.0.0.1", l) }
		f(x)
	})
}

// issuer has the secret of delegation tokens.
var issuer = token.NewIssuer([]byte("0123456789abcdef"), token.DefaultConfig())

var saslOnly = &Listener{Name: "CLIENTS", Mechanisms: sasl.PasswordMechanisms()}

// client speaks to a broker as any client does.
type client struct {
	*testing.T
	net.Conn
	n int32
}

// ask sends a request and reads its answer; nil: the connection was closed.
func (c *client) ask(req kmsg.Request, version int16) kmsg.Response {
	c.Helper()
	req.SetVersion(version)
	c.n++
	if _, err := c.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, c.n)); err != nil {
		return nil
	}
	b := c.frame()
	if b == nil {
		return nil
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	b = b[4:]
	if resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		c.Error(err)
	}
	return resp
}

func (c *client) frame() []byte {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return nil
	}
	return b
}

func (c *client) handshake(mechanism string) *kmsg.SASLHandshakeResponse {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	resp, _ := c.ask(req, 1).(*kmsg.SASLHandshakeResponse)
	return resp
}

func (c *client) token(b []byte) *kmsg.SASLAuthenticateResponse {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = b
	resp, _ := c.ask(req, 2).(*kmsg.SASLAuthenticateResponse)
	return resp
}

func (c *client) plain(user, password string) *kmsg.SASLAuthenticateResponse {
	if resp := c.handshake(sasl.Plain); resp == nil || resp.ErrorCode != 0 {
		return nil
	}
	return c.token([]byte("\x00" + user + "\x00" + password))
}

// served reports whether requests are served.
func (c *client) served() bool {
	return c.ask(kmsg.NewPtrDescribeUserSCRAMCredentialsRequest(), 0) != nil
}

func TestEveryMechanismLogsIn(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		for mechanism, hash := range map[string]scram.HashGeneratorFcn{sasl.ScramSHA256: scram.SHA256, sasl.ScramSHA512: scram.SHA512} {
			c := x.serve(saslOnly)
			if resp := c.ask(kmsg.NewPtrApiVersionsRequest(), 0).(*kmsg.ApiVersionsResponse); resp.ErrorCode != 0 {
				t.Errorf("ApiVersions: %d", resp.ErrorCode)
			}
			if resp := c.handshake(mechanism); resp.ErrorCode != 0 || len(resp.SupportedMechanisms) != 3 {
				t.Fatalf("%+v", resp)
			}
			s, err := hash.NewClientUnprepped("alice", "secret", "")
			if err != nil {
				t.Fatal(err)
			}
			conversation := s.NewConversation()
			challenge := ""
			for !conversation.Done() {
				text, err := conversation.Step(challenge)
				if err != nil {
					t.Fatal(err)
				}
				if conversation.Done() {
					break
				}
				resp := c.token([]byte(text))
				if resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 0 {
					t.Fatalf("%+v", resp)
				}
				challenge = string(resp.SASLAuthBytes)
			}
			if !conversation.Valid() || !c.served() {
				t.Errorf("%s: not served", mechanism)
			}
			c.Close()
		}
		c := x.serve(saslOnly)
		if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || !c.served() {
			t.Errorf("PLAIN: %+v", resp)
		}
		// What comes after is refused, and changes nothing.
		if resp := c.handshake(sasl.Plain); resp.ErrorCode != kerr.IllegalSaslState.Code || len(resp.SupportedMechanisms) != 0 {
			t.Errorf("a handshake after it: %+v", resp)
		}
		if resp := c.token([]byte("\x00bob\x00secret")); resp.ErrorCode != kerr.IllegalSaslState.Code || resp.ErrorMessage == nil || *resp.ErrorMessage != afterLogin {
			t.Errorf("a token after it: %+v", resp)
		}
		if !c.served() {
			t.Error("not served any more")
		}
		c.Close()
		if got := testutil.ToFloat64(x.auth.metrics.results.WithLabelValues(sasl.Plain, "success")); got != 1 {
			t.Errorf("%v logins by PLAIN", got)
		}
		if log := x.log.String(); strings.Contains(log, "secret") || !strings.Contains(log, "User:alice") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// Version 0 of the handshake is followed by messages without headers.
func TestBareTokens(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		for password, ok := range map[string]bool{"secret": true, "wrong": false} {
			c := x.serve(saslOnly)
			req := kmsg.NewPtrSASLHandshakeRequest()
			req.Mechanism = sasl.Plain
			if resp := c.ask(req, 0).(*kmsg.SASLHandshakeResponse); resp.ErrorCode != 0 {
				t.Fatal(resp.ErrorCode)
			}
			text := "\x00alice\x00" + password
			if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
				t.Fatal(err)
			}
			if b := c.frame(); (b != nil) != ok || len(b) != 0 {
				t.Errorf("%s: answer %q", password, b)
			}
			if c.served() != ok {
				t.Errorf("%s: served", password)
			}
			c.Close()
		}
	})
}

// Whoever isn't authenticated is served nothing else, and the connection closes.
func TestNothingIsServedBeforeLogin(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		for _, a := range x.apis.rows() {
			if a.key == kmsg.ApiVersions || a.key == kmsg.SASLHandshake {
				continue
			}
			for _, begun := range []bool{false, true} {
				if begun && a.key == kmsg.SASLAuthenticate {
					continue
				}
				c := x.serve(saslOnly)
				if begun {
					c.handshake(sasl.ScramSHA256)
				}
				if resp := c.ask(kmsg.RequestForKey(int16(a.key)), a.max); resp != nil {
					t.Errorf("%s is answered, begun %v: %+v", a.key.Name(), begun, resp)
				}
				c.Close()
			}
		}
		c := x.serve(saslOnly)
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, maxLoginRequest+1)); err != nil {
			t.Fatal(err)
		}
		if c.frame() != nil {
			t.Error("a large request is answered")
		}
	})
}

// An unknown mechanism is told those that there are; one out of order is told so. Then the
// connection closes.
func TestBadHandshakes(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		c := x.serve(&Listener{Mechanisms: []string{sasl.ScramSHA512}})
		if resp := c.handshake(sasl.Plain); resp == nil || resp.ErrorCode != kerr.UnsupportedSaslMechanism.Code || fmt.Sprint(resp.SupportedMechanisms) != "[SCRAM-SHA-512]" {
			t.Errorf("%+v", resp)
		}
		if c.handshake(sasl.ScramSHA512) != nil {
			t.Error("it goes on")
		}
		c = x.serve(saslOnly)
		c.handshake(sasl.ScramSHA512)
		if resp := c.handshake(sasl.ScramSHA512); resp == nil || resp.ErrorCode != kerr.IllegalSaslState.Code {
			t.Errorf("%+v", resp)
		}
		if c.token([]byte("n,,n=alice,r=abc")) != nil {
			t.Error("it goes on")
		}
		// A listener without SASL says so.
		c = x.serve(new(Listener))
		if resp := c.handshake(sasl.Plain); resp == nil || resp.ErrorCode != kerr.IllegalSaslState.Code || !c.served() {
			t.Errorf("%+v", resp)
		}
		c.Close()
	})
}

// A failure is answered in Kafka's words, after a delay that doesn't tell why and grows, and is
// the last answer.
func TestFailuresAreAnsweredLater(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3000, 3000} {
			c := x.serve(saslOnly)
			name := []string{"alice", "nobody"}[i%2]
			began := time.Now()
			resp := c.plain(name, "wrong")
			if took := time.Since(began); took != want*time.Millisecond {
				t.Errorf("failure %d after %v, want %v", i, took, want*time.Millisecond)
			}
			if resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage != "Authentication failed: Invalid username or password" {
				t.Errorf("%+v", resp)
			}
			if c.served() {
				t.Error("served")
			}
		}
		c := x.serve(saslOnly)
		c.handshake(sasl.ScramSHA256)
		if resp := c.token([]byte("nonsense")); resp == nil || *resp.ErrorMessage != "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256" {
			t.Errorf("%+v", resp)
		}
		time.Sleep(2 * forgivenAfter)
		began := time.Now()
		c = x.serve(saslOnly)
		if c.plain("alice", "wrong"); time.Since(began) != firstPenalty {
			t.Errorf("not forgiven: %v", time.Since(began))
		}
		// A line a minute for each user and mechanism: nobody's don't hide alice's.
		if log := x.log.String(); strings.Contains(log, "wrong\"") || strings.Count(log, "authentication failed") != 4 || strings.Count(log, "user=alice") != 2 || strings.Count(log, "user=nobody") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// Penalties are of bounded number, and of IPv6 a network has one.
func TestPenaltiesAreBounded(t *testing.T) {
	var p penalties
	now := time.Unix(1_790_000_000, 0)
	for i := range 3 * penalized {
		p.next(fmt.Sprintf("10.%d.%d.1", i/256, i%256), now.Add(time.Duration(i)))
	}
	if len(p.by) > penalized {
		t.Errorf("%d addresses", len(p.by))
	}
	p.next("2001:db8::1", now)
	if d := p.next("2001:db8::2", now); d != 2*firstPenalty {
		t.Errorf("a neighbour waits %v", d)
	}
	if d := p.next("2001:db8:0:1::2", now); d != firstPenalty {
		t.Errorf("another network waits %v", d)
	}
}

// A client that stays has to authenticate again: as itself, by the same mechanism.
func TestReauthentication(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		l := &Listener{Mechanisms: sasl.PasswordMechanisms(), MaxReauth: time.Minute}
		begin := func() *client {
			c := x.serve(l)
			if resp := c.plain("alice", "secret"); resp == nil || resp.SessionLifetimeMillis != 60_000 {
				t.Fatalf("%+v", resp)
			}
			return c
		}
		c := begin()
		for range 3 {
			time.Sleep(50 * time.Second)
			if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || !c.served() {
				t.Fatalf("again: %+v", resp)
			}
		}
		if resp := c.handshake(sasl.Plain); resp.ErrorCode != kerr.IllegalSaslState.Code || !c.served() {
			t.Errorf("again within a second: %+v", resp)
		}
		c.Close()

		c = begin()
		time.Sleep(time.Minute - 1)
		if !c.served() {
			t.Error("ended early")
		}
		time.Sleep(time.Nanosecond)
		if c.served() {
			t.Error("served after the session expired")
		}

		c = begin()
		time.Sleep(time.Minute) // expired: a handshake still helps
		if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || !c.served() {
			t.Errorf("late: %+v", resp)
		}
		c.Close()

		for what, again := range map[string]func(c *client) *kmsg.SASLAuthenticateResponse{
			"Cannot change principals during re-authentication from User.alice: User.bob": func(c *client) *kmsg.SASLAuthenticateResponse { return c.plain("bob", "secret") },
			"Authentication failed: Invalid username or password":                         func(c *client) *kmsg.SASLAuthenticateResponse { return c.plain("alice", "wrong") },
			"SASL mechanism 'SCRAM-SHA-256' requested by client is not supported for re-authentication of mechanism 'PLAIN'": func(c *client) *kmsg.SASLAuthenticateResponse {
				c.handshake(sasl.ScramSHA256)
				return c.token([]byte("n,,n=alice,r=abc"))
			},
		} {
			c := begin()
			time.Sleep(10 * time.Second)
			if resp := again(c); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || *resp.ErrorMessage != what {
				t.Errorf("%s: %+v", what, resp)
			}
			if c.served() {
				t.Errorf("%s: served", what)
			}
		}
		// A deleted user, or another password, is noticed then.
		c = begin()
		x.set("alice", "")
		if !c.served() {
			t.Error("a session ends with its user")
		}
		if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != kerr.SaslAuthenticationFailed.Code {
			t.Errorf("%+v", resp)
		}
	})
}

// Those that never authenticate are cut off in time.
func TestLoginsHaveADeadline(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		silent, slow, fine := x.serve(saslOnly), x.serve(saslOnly), x.serve(saslOnly)
		if resp := fine.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 {
			t.Fatal(resp)
		}
		for range 3 {
			time.Sleep(x.cfg.RequestTimeout/3 - time.Millisecond)
			slow.ask(kmsg.NewPtrApiVersionsRequest(), 0)
		}
		if got := testutil.ToFloat64(x.auth.metrics.waiting); got != 2 {
			t.Errorf("%v wait", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if silent.frame() != nil || slow.ask(kmsg.NewPtrApiVersionsRequest(), 0) != nil || !fine.served() {
			t.Error("who is cut off?")
		}
		if waiting, late := testutil.ToFloat64(x.auth.metrics.waiting), testutil.ToFloat64(x.auth.metrics.late); waiting != 0 || late != 2 {
			t.Errorf("%v wait, %v were late", waiting, late)
		}
		fine.Close()
	})
}

// However many connections don't authenticate, the others stay, and new ones get in: the oldest
// that are not authenticated make room.
func TestStrangersMakeRoom(t *testing.T) {
	const most = 100
	withBouncer(t, func(cfg *Config) { cfg.MaxConnections = most }, func(x *bouncer) {
		var members []*client
		for range 40 {
			c := x.serve(saslOnly)
			if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 {
				t.Fatal(resp)
			}
			members = append(members, c)
		}
		var strangers []*client
		for range 10 * most {
			strangers = append(strangers, x.serve(saslOnly))
			synctest.Wait()
		}
		if open, waiting := x.Memory().Connections, testutil.ToFloat64(x.auth.metrics.waiting); open != 40+most/2 || waiting != most/2 {
			t.Errorf("%d are open, of which %v wait", open, waiting)
		}
		if !alive(strangers[len(strangers)-1]) || alive(strangers[0]) {
			t.Error("it isn't the oldest that goes")
		}
		for range most/2 + 5 { // until all room is the members'
			c := x.serve(saslOnly)
			if resp := c.plain("bob", "secret"); resp == nil || resp.ErrorCode != 0 {
				t.Fatal(resp)
			}
			members = append(members, c)
		}
		for len(members) < most {
			c := x.serve(saslOnly)
			if resp := c.plain("bob", "secret"); resp == nil || resp.ErrorCode != 0 {
				t.Fatal(resp)
			}
			members = append(members, c)
		}
		if x.serve(saslOnly).served() {
			t.Error("there is room for more than all")
		}
		for _, c := range members {
			if !c.served() {
				t.Error("a member was closed")
			}
			c.Close()
		}
		for _, c := range strangers {
			c.Close()
		}
	})
}

func alive(c *client) bool {
	return c.ask(kmsg.NewPtrApiVersionsRequest(), 0) != nil
}

// A frame that is cut off anywhere in a login ends only its connection.
func TestLoginsThatAreCutOff(t *testing.T) {
	withBouncer(t, nil, func(x *bouncer) {
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = sasl.Plain
		req.SetVersion(1)
		token := kmsg.NewPtrSASLAuthenticateRequest()
		token.SASLAuthBytes = []byte("\x00alice\x00secret")
		token.SetVersion(2)
		f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))
		whole := f.AppendRequest(f.AppendRequest(nil, req, 1), token, 2)
		for n := range whole {
			c := x.serve(saslOnly)
			go io.Copy(io.Discard, c)
			if _, err := c.Write(whole[:n]); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		synctest.Wait()
		if open := x.Memory().Connections; open != 0 {
			t.Errorf("%d are open", open)
		}
	})
}
