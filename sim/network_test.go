package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"varve/internal/backoff"
)

// node is a place in the network: an agent's host, from 1, or a client, from 100.
type node int

func (n node) String() string { return fmt.Sprintf("10.0.0.%d", int(n)) }

// network connects nodes. What is sent arrives in order, later, or, while the link
// between two nodes is cut, when it is mended: as TCP does. A connection breaks when
// the process at one of its ends does.
type network struct {
	mu        sync.Mutex
	random    *rand.Rand
	changed   chan struct{} // closed and replaced whenever anything changes
	listeners map[string]*listener
	conns     []*conn // in the order of their making: what iterates must repeat itself
	cut       map[[2]node]bool
	dark      map[node]bool // hosts without power: they don't even refuse
	slow      time.Duration // the most that a packet takes
	ports     int
}

// packetBytes and windowBytes are the unit of delivery, and what may be under way.
const (
	packetBytes = 16 << 10
	windowBytes = 256 << 10
	quick       = 2 * time.Millisecond
)

func newNetwork(r *rand.Rand) *network {
	return &network{random: r, changed: make(chan struct{}), listeners: map[string]*listener{},
		cut: map[[2]node]bool{}, dark: map[node]bool{}, slow: quick}
}

// wake wakes those who dial and accept; the lock is held.
func (n *network) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// touch wakes all who wait; the lock is held.
func (n *network) touch() {
	n.wake()
	for _, c := range n.conns {
		c.poke()
	}
}

func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.touch()
}

func pair(a, b node) [2]node { return [2]node{min(a, b), max(a, b)} }

// blocked reports whether nothing gets from a to b now; the lock is held.
func (n *network) blocked(a, b node) bool { return n.cut[pair(a, b)] || n.dark[a] || n.dark[b] }

func (n *network) setCut(a, b node, is bool) {
	n.change(func() { n.cut[pair(a, b)] = is })
}

func (n *network) setSlow(most time.Duration) {
	n.change(func() { n.slow = most })
}

// reset ends a node's listeners and connections. The others see that at once, or,
// of a host that lost its power, not before they ask.
func (n *network) reset(who node, dark bool) {
	n.change(func() {
		n.dark[who] = dark
		for addr, l := range n.listeners {
			if l.at == who {
				delete(n.listeners, addr)
			}
		}
		n.breakSome(func(c *conn) bool {
			mine := c.at == who
			c.peer.lost = c.peer.lost || mine
			return mine || !dark && c.peer.at == who
		})
	})
}

// breakSome ends connections; the lock is held.
func (n *network) breakSome(which func(*conn) bool) {
	n.conns = slices.DeleteFunc(n.conns, func(c *conn) bool {
		if which(c) {
			c.broken = syscall.ECONNRESET
			c.poke()
			return true
		}
		return false
	})
}

// lighten restores a host's power: what it had open before is reset.
func (n *network) lighten(who node) {
	n.change(func() {
		n.dark[who] = false
		n.breakSome(func(c *conn) bool { return c.lost })
	})
}

type listener struct {
	n      *network
	at     node
	g      *gate
	addr   *net.TCPAddr
	queue  []*conn
	closed bool
}

func address(at node, port int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(10, 0, 0, byte(at)), Port: port}
}

func (n *network) listen(at node, g *gate, addr string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		return nil, err
	}
	l := &listener{n: n, at: at, g: g, addr: address(at, number)}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[l.addr.String()] != nil {
		return nil, syscall.EADDRINUSE
	}
	n.listeners[l.addr.String()] = l
	return l, nil
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Accept() (net.Conn, error) {
	for {
		if err := l.g.pass(); err != nil {
			return nil, net.ErrClosed
		}
		l.n.mu.Lock()
		switch {
		case l.closed || l.n.listeners[l.addr.String()] != l:
			l.n.mu.Unlock()
			return nil, net.ErrClosed
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue = l.queue[1:]
			l.n.mu.Unlock()
			return c, nil
		}
		changed := l.n.changed
		l.n.mu.Unlock()
		<-changed
	}
}

func (l *listener) Close() error {
	l.n.change(func() {
		l.closed = true
		if l.n.listeners[l.addr.String()] == l {
			delete(l.n.listeners, l.addr.String())
		}
		for _, c := range l.queue {
			c.peer.broken = syscall.ECONNRESET
		}
	})
	return nil
}

// conn is one end of a connection. All of it is guarded by the network's lock.
type conn struct {
	n        *network
	at       node
	g        *gate
	peer     *conn
	here     net.Addr
	there    net.Addr
	packets  []packet // on the way to this end
	bytes    int
	last     time.Time // when the newest of these arrives
	ended    bool      // the peer closed
	closed   bool      // this end did
	lost     bool      // the peer's process is gone
	broken   error
	deadline [2]time.Time  // of reading, of writing
	changed  chan struct{} // closed and replaced
}

// poke wakes who waits at this end; the lock is held.
func (c *conn) poke() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// alter changes this end.
func (c *conn) alter(f func()) error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	f()
	c.poke()
	return nil
}

type packet struct {
	at time.Time
	b  []byte
}

// dial connects a node, whose process g stands for, to an address.
func (n *network) dial(ctx context.Context, from node, g *gate, addr string) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	var to node
	if _, err := fmt.Sscanf(addr, "10.0.0.%d:", &to); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if err := backoff.Sleep(ctx, n.delay()); err != nil {
		return nil, err
	}
	for {
		if err := g.pass(); err != nil {
			return nil, err
		}
		n.mu.Lock()
		if !n.blocked(from, to) {
			defer n.mu.Unlock()
			l := n.listeners[addr]
			if l == nil {
				return nil, refused
			}
			n.ports++
			a := &conn{n: n, at: from, g: g, here: address(from, 10000+n.ports%50000), there: l.addr, changed: make(chan struct{})}
			b := &conn{n: n, at: to, g: l.g, here: l.addr, there: a.here, peer: a, changed: make(chan struct{})}
			a.peer = b
			n.conns = append(n.conns, a, b)
			l.queue = append(l.queue, b)
			n.wake()
			return a, nil
		}
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *network) delay() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spread()
}

// spread draws how long a packet takes; the lock is held.
func (n *network) spread() time.Duration {
	return 20*time.Microsecond + time.Duration(n.random.Int64N(int64(n.slow)))
}

func (c *conn) LocalAddr() net.Addr  { return c.here }
func (c *conn) RemoteAddr() net.Addr { return c.there }

func (c *conn) SetDeadline(t time.Time) error {
	return c.alter(func() { c.deadline = [2]time.Time{t, t} })
}

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.alter(func() { c.deadline[0] = t })
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.alter(func() { c.deadline[1] = t })
}

func (c *conn) Close() error {
	return c.alter(func() {
		c.closed, c.peer.ended = true, true
		c.n.conns = slices.DeleteFunc(c.n.conns, func(o *conn) bool { return o == c })
		c.peer.poke()
	})
}

// wait ends when something changed, at a time, or at the deadline; the lock is held
// before and after.
func (c *conn) wait(until time.Time, which int) {
	if d := c.deadline[which]; !d.IsZero() && (until.IsZero() || d.Before(until)) {
		until = d
	}
	changed := c.changed
	c.n.mu.Unlock()
	defer c.n.mu.Lock()
	if until.IsZero() {
		<-changed
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	}
}

// usable says why an end can't be used; the lock is held.
func (c *conn) usable(which int) error {
	switch d := c.deadline[which]; {
	case c.closed:
		return net.ErrClosed
	case c.broken != nil:
		return &net.OpError{Op: "conn", Net: "tcp", Err: c.broken}
	case !d.IsZero() && !d.After(time.Now()):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		if err := c.g.pass(); err != nil {
			return 0, err
		}
		n, err := c.read(b)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// read returns what has arrived, or waits once.
func (c *conn) read(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if err := c.usable(0); err != nil {
		return 0, err
	}
	var arrives time.Time
	if !c.n.blocked(c.at, c.peer.at) {
		switch {
		case len(c.packets) == 0 && c.ended:
			return 0, io.EOF
		case len(c.packets) == 0:
		case c.packets[0].at.After(time.Now()):
			arrives = c.packets[0].at
		default:
			p := &c.packets[0]
			n := copy(b, p.b)
			if p.b = p.b[n:]; len(p.b) == 0 {
				c.packets = c.packets[1:]
			}
			c.bytes -= n
			if c.bytes+n >= windowBytes {
				c.peer.poke()
			}
			return n, nil
		}
	}
	c.wait(arrives, 0)
	return 0, nil
}

func (c *conn) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if err := c.g.pass(); err != nil {
			return done, err
		}
		n, err := c.write(b[done:])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// write sends one packet, or waits once for room.
func (c *conn) write(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if err := c.usable(1); err != nil {
		return 0, err
	}
	to := c.peer
	if to.closed {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	if to.bytes >= windowBytes {
		c.wait(time.Time{}, 1)
		return 0, nil
	}
	b = b[:min(len(b), packetBytes)]
	at := time.Now().Add(c.n.spread())
	if at.Before(to.last) {
		at = to.last
	}
	to.last = at
	to.packets = append(to.packets, packet{at, append([]byte(nil), b...)})
	to.bytes += len(b)
	to.poke()
	return len(b), nil
}

var errPower = errors.New("the simulated process is gone")

// breakAll resets a node's connections; it goes on listening.
func (n *network) breakAll(who node) {
	n.change(func() {
		n.breakSome(func(c *conn) bool { return c.at == who || c.peer.at == who })
	})
}
