package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
)

// connect makes a connection to a store's agent and shakes hands. The caller closes
// it.
func (n *Node) connect(ctx context.Context, to id.Store, p purpose, j id.Journal) (*conn, welcome, error) {
	addr, ok := n.d.Resolve(to)
	if !ok {
		return nil, welcome{}, fmt.Errorf("store %v: no live agent has it: %w", to, ErrUnreachable)
	}
	brief, cancel := context.WithTimeout(ctx, n.cfg.Silence)
	defer cancel()
	raw, err := n.d.Dial(brief, addr)
	if err != nil {
		err = fmt.Errorf("store %v at %s: %w: %w", to, addr, ErrUnreachable, err)
		if ctx.Err() == nil {
			n.lost(to, err)
		}
		return nil, welcome{}, err
	}
	c := newConn(raw, n.metrics)
	w, err := n.shake(brief, c, to, p, j)
	if err != nil {
		c.Close()
		err = fmt.Errorf("store %v at %s: %w", to, addr, err)
		if ctx.Err() == nil && errors.Is(err, ErrUnreachable) {
			n.lost(to, err)
		}
		return nil, w, err
	}
	return c, w, nil
}

// shake sends the hello and checks the answer.
func (n *Node) shake(ctx context.Context, c *conn, to id.Store, p purpose, j id.Journal) (w welcome, err error) {
	stop := c.until(ctx)
	defer stop()
	h := hello{cluster: n.d.Cluster, purpose: p, journal: j, from: n.own, incarnation: n.d.Incarnation, broker: n.d.Broker, to: to}
	if err := c.send(kindHello, h.encode()); err != nil {
		return w, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	b, err := c.expect(kindHello, 0)
	if err != nil {
		return w, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if w, err = decodeWelcome(b); err != nil {
		return w, err
	}
	if w.store != to {
		return w, fmt.Errorf("store %v: %w", w.store, ErrOtherStore)
	}
	return w, w.err
}

// greet answers a caller's hello with the verdict of admit.
func (n *Node) greet(c *conn, admit func(*hello) (durable uint64, err error)) (h hello, err error) {
	b, err := c.expect(kindHello, n.cfg.Silence)
	if err != nil {
		return h, err
	}
	w := welcome{store: n.own, incarnation: n.d.Incarnation, broker: n.d.Broker}
	if h, err = decodeHello(b); err != nil {
		return h, err // not one of us: no answer
	}
	switch {
	case h.cluster != n.d.Cluster:
		w.err = fmt.Errorf("this is a process of another cluster: %w", ErrOtherStore)
	case h.to != n.own:
		w.err = fmt.Errorf("this is store %v: %w", n.own, ErrOtherStore)
	default:
		w.durable, w.err = admit(&h)
	}
	if err := c.send(kindHello, w.encode()); err != nil {
		return h, err
	}
	return h, w.err
}

// Serve lets other agents in until ctx ends or the listener fails. It closes the
// listener.
func (n *Node) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	stopped := context.AfterFunc(n.ctx, func() { l.Close() })
	defer stopped()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || n.ctx.Err() != nil {
				return nil
			}
			if temporary(err) && backoff.Sleep(ctx, n.cfg.RetryMin) == nil {
				continue
			}
			return fmt.Errorf("accept for replication: %w", err)
		}
		if !n.enter() {
			n.metrics.refused.WithLabelValues("too_many").Inc()
			c.Close()
			continue
		}
		serves := n.run(func() {
			defer n.leave()
			n.admit(c)
		})
		if !serves {
			n.leave()
			c.Close()
		}
	}
}

// temporary reports whether another Accept may work: the process has no file to spare.
func temporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

func (n *Node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.conns >= n.cfg.MaxConnections {
		return false
	}
	n.mu.conns++
	return true
}

func (n *Node) leave() {
	n.mu.Lock()
	n.mu.conns--
	n.mu.Unlock()
}

// admit serves a connection whose TLS handshake, if it is TLS, succeeds.
func (n *Node) admit(c net.Conn) {
	if err := n.handshake(c); err != nil {
		c.Close()
		n.metrics.refused.WithLabelValues("tls").Inc()
		if n.ctx.Err() == nil && n.warnsNow() {
			n.d.Log.Warn("connection from another agent refused: TLS handshake failed", "from", c.RemoteAddr(), "err", err)
		}
		return
	}
	n.serve(newConn(c, n.metrics))
}

// warnsNow reports whether it is time for another line about who was refused: whoever tries
// again and again must not fill the log.
func (n *Node) warnsNow() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.mu.warned) < warnEvery {
		return false
	}
	n.mu.warned = time.Now()
	return true
}

const warnEvery = 5 * time.Second

// serve handles one connection to its end.
func (n *Node) serve(c *conn) {
	defer c.Close()
	stop := c.until(n.ctx)
	defer stop()
	var f *following
	h, err := n.greet(c, func(h *hello) (durable uint64, err error) {
		if h.purpose == purposeStream {
			f, err = n.follow(c, h)
			if err == nil {
				durable = f.f.Durable()
			}
		}
		return durable, err
	})
	if err != nil {
		if f != nil {
			f.leave()
		}
		n.metrics.refused.WithLabelValues("hello").Inc()
		n.d.Log.Debug("replication connection refused", "from", c.RemoteAddr(), "err", err)
		return
	}
	if f == nil {
		n.answerCalls(c, &h)
		return
	}
	f.run()
}
