package replica

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
)

// endpoint is this agent as the others see it, and how it reaches them. All parts of a node
// have it.
type endpoint struct {
	cfg     *Config
	deps    *Deps
	own     id.Store
	metrics *metrics
	ctx     context.Context // ends at Close
}

// lost reports the end of a connection that this side did not close.
func (e *endpoint) lost(s id.Store, err error) {
	if e.ctx.Err() != nil {
		return
	}
	e.metrics.lost.Inc()
	if e.deps.Lost != nil {
		e.deps.Lost(s, err)
	}
}

// connect makes a connection to a store's agent and shakes hands. The caller closes
// it.
func (e *endpoint) connect(ctx context.Context, to id.Store, p purpose, j id.Journal) (*conn, welcome, error) {
	addr, ok := e.deps.Resolve(to)
	if !ok {
		return nil, welcome{}, fmt.Errorf("store %v: no live agent has it: %w", to, ErrUnreachable)
	}
	brief, cancel := context.WithTimeout(ctx, e.cfg.Silence)
	defer cancel()
	raw, err := e.deps.Dial(brief, addr)
	if err != nil {
		err = fmt.Errorf("store %v at %s: %w: %w", to, addr, ErrUnreachable, err)
		if ctx.Err() == nil {
			e.lost(to, err)
		}
		return nil, welcome{}, err
	}
	c := newConn(raw, e.metrics)
	w, err := e.shake(brief, c, to, p, j)
	if err != nil {
		c.Close()
		err = fmt.Errorf("store %v at %s: %w", to, addr, err)
		if ctx.Err() == nil && errors.Is(err, ErrUnreachable) {
			e.lost(to, err)
		}
		return nil, w, err
	}
	e.countPlain(c)
	return c, w, nil
}

// countPlain counts a connection with another agent if it should be TLS.
func (e *endpoint) countPlain(c *conn) {
	if withoutTLS(c.Conn) {
		e.metrics.plain.Inc()
	}
}

// shake sends the hello and checks the answer.
func (e *endpoint) shake(ctx context.Context, c *conn, to id.Store, p purpose, j id.Journal) (w welcome, err error) {
	stop := c.until(ctx)
	defer stop()
	h := hello{cluster: e.deps.Cluster, purpose: p, journal: j, from: e.own, incarnation: e.deps.Incarnation, broker: e.deps.Broker, to: to}
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
