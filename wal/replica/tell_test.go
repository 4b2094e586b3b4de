package replica

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
)

// takes makes an agent take what it is given; the result returns all of it.
func (a *agent) takes(answer []byte, err error) (taken func() [][]byte) {
	got := make(chan []byte, 100)
	a.node.local.deps.Take = func(_ context.Context, what uint32, body []byte) ([]byte, error) {
		got <- append([]byte{byte(what)}, body...)
		return answer, err
	}
	return func() (all [][]byte) {
		for len(got) > 0 {
			all = append(all, <-got)
		}
		return all
	}
}

// TestGive: a body reaches the other agent whole, and the answer comes back; this agent gives to itself, too.
func TestGive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		for _, to := range c.all {
			taken := to.takes([]byte("thanks"), nil)
			for _, n := range []int{0, 1, maxControl, maxControl + 1, MaxTold} {
				body := bytes.Repeat([]byte{'b'}, n)
				answer, err := c.all[0].node.Give(t.Context(), to.id(), 7, body)
				if err != nil || string(answer) != "thanks" {
					t.Errorf("%s: %d bytes: %q, %v", to.addr, n, answer, err)
				}
				if got := taken(); len(got) != 1 || got[0][0] != 7 || !bytes.Equal(got[0][1:], body) {
					t.Errorf("%s: %d bytes were taken %d times, or not whole", to.addr, n, len(got))
				}
			}
			to.takes(nil, errors.New("not now"))
			var said *RemoteError
			if _, err := c.all[0].node.Give(t.Context(), to.id(), 7, nil); err == nil || to != c.all[0] && !errors.As(err, &said) {
				t.Errorf("%s: a refusal became %v", to.addr, err)
			}
		}
	})
}

// TestGivenIsBounded: too much is neither sent nor taken, and an answer that is too long is an error.
func TestGivenIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		n, to := c.all[0].node, c.all[1]
		if _, err := n.Give(t.Context(), to.id(), 7, nil); err == nil {
			t.Error("an agent that takes nothing took something")
		}
		taken := to.takes(make([]byte, MaxTold+1), nil)
		body := make([]byte, MaxTold+1)
		if _, err := n.Give(t.Context(), to.id(), 7, body); err == nil || errors.Is(err, ErrUnreachable) {
			t.Errorf("too much was sent: %v", err)
		}
		if _, err := n.call(t.Context(), to.id(), &request{verb: verbGive, n: 7, rest: body}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("too much didn't end the connection: %v", err)
		}
		if got := taken(); len(got) != 0 {
			t.Errorf("%d bodies were taken", len(got))
		}
		if b, err := n.Give(t.Context(), to.id(), 7, nil); err == nil {
			t.Errorf("an answer of %d bytes", len(b))
		}
		for what, send := range map[string]func(*conn) error{
			"a body in a request":       func(p *conn) error { return p.send(kindRequest, (&request{verb: verbGive, rest: []byte{1}}).encode()) },
			"no body, in a request":     func(p *conn) error { return p.send(kindRequest, (&request{verb: verbGive}).encode()) },
			"another verb with a body":  func(p *conn) error { return p.send(kindPut, (&request{verb: verbTell, rest: []byte{1}}).encode()) },
			"a request that was cut":    func(p *conn) error { return p.send(kindPut, (&request{verb: verbGive}).encode()[:requestHead-1]) },
			"a request without payload": func(p *conn) error { return p.send(kindPut, nil) },
		} {
			p, _, err := n.endpoint.connect(t.Context(), to.id(), purposeCall, id.Journal{})
			if err != nil {
				t.Fatal(err)
			}
			if err := send(p); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, _, err := p.control(time.Minute); !ended(err) {
				t.Errorf("%s: %v", what, err)
			}
			p.Close()
		}
		if got := taken(); len(got) != 1 { // the one with the answer that is too long
			t.Errorf("%d bodies were taken", len(got))
		}
	})
}

// TestUnknownVerbs: an agent of an older build closes the connection over a request that it doesn't
// know. The caller learns that it wasn't answered, and all other requests go on.
func TestUnknownVerbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		n, to := c.all[0].node, c.all[1]
		for range 2 * maxIdle {
			if _, err := n.call(t.Context(), to.id(), &request{verb: verbLastOne}); !errors.Is(err, ErrUnreachable) {
				t.Fatalf("an unknown verb: %v", err)
			}
			if got, err := n.Ping(t.Context(), to.id()); err != nil || got != to.inc {
				t.Fatalf("afterwards: %v, %v", got, err)
			}
		}
	})
}

// TestGivenInOrder: what one caller gives, each after the answer to the one before, is taken in order.
func TestGivenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		taken := c.all[1].takes(nil, nil)
		var want [][]byte
		for i := range byte(50) {
			want = append(want, []byte{7, i})
			if _, err := c.all[0].node.Give(t.Context(), c.all[1].id(), 7, []byte{i}); err != nil {
				t.Fatal(err)
			}
		}
		if got := taken(); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%v", got)
		}
	})
}
