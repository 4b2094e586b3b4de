package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"varve/internal/id"
	"varve/internal/wire"
)

// pool keeps call connections with one store that are not in use. A connection
// carries one request at a time; a caller that finds none makes another.
type pool struct {
	slots chan struct{} // bounds how many are in use
	mu    struct {
		sync.Mutex
		idle []idleConn // the newest last
	}
}

type idleConn struct {
	c     *conn
	since time.Time
}

const (
	maxCalls   = 16               // at a time with one store
	maxIdle    = 4                // connections kept for later
	idleClient = 20 * time.Second // for so long
	idleServer = time.Minute      // the side that is called waits longer, so that it never wins
)

func (n *Node) pool(s id.Store) (*pool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return nil, ErrClosed
	}
	p := n.mu.pools[s]
	if p == nil {
		p = &pool{slots: make(chan struct{}, maxCalls)}
		n.mu.pools[s] = p
	}
	return p, nil
}

func (p *pool) get() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.mu.idle) > 0 {
		i := p.mu.idle[len(p.mu.idle)-1]
		p.mu.idle = p.mu.idle[:len(p.mu.idle)-1]
		if time.Since(i.since) < idleClient {
			return i.c
		}
		i.c.Close()
	}
	return nil
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.idle) >= maxIdle {
		c.Close()
		return
	}
	p.mu.idle = append(p.mu.idle, idleConn{c, time.Now()})
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.mu.idle {
		i.c.Close()
	}
	p.mu.idle = nil
}

// callPatience bounds any one request, the reading of a journal's tail at the other
// side included: a caller that waits for a host that went silent can do nothing else.
const callPatience = 20 * time.Second

// call asks a store: this agent's at once, another over the network. A connection
// that turns out to be dead is replaced once: every request may be repeated.
func (n *Node) call(ctx context.Context, to id.Store, q *request) ([]byte, error) {
	return n.callAt(ctx, new(session), to, q)
}

// callAt is call for one of several requests that follow each other: here is what this
// agent's own store keeps between them.
func (n *Node) callAt(ctx context.Context, here *session, to id.Store, q *request) ([]byte, error) {
	if to == n.own {
		return n.local.do(ctx, here, q)
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	p, err := n.pool(to)
	if err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for c := p.get(); c != nil; c = p.get() {
		b, err := n.exchange(ctx, p, c, to, q)
		if err == nil || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return b, err
		}
	}
	c, _, err := n.connect(ctx, to, purposeCall, id.Journal{})
	if err != nil {
		return nil, err
	}
	b, err := n.exchange(ctx, p, c, to, q)
	if errors.Is(err, ErrUnreachable) && ctx.Err() == nil {
		n.lost(to, err)
	}
	return b, err
}

// exchange sends a request and reads the answer; then the connection is kept, or
// closed if it failed.
func (n *Node) exchange(ctx context.Context, p *pool, c *conn, to id.Store, q *request) ([]byte, error) {
	stop := c.until(ctx)
	stopToo := c.until(n.ctx)
	b, err := n.ask(c, q)
	one, two := stop(), stopToo()
	whole := one && two
	if err != nil {
		c.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("ask store %v: %w: %w", to, ErrUnreachable, err)
	}
	if whole {
		p.put(c)
	}
	r := wire.NewReader(b)
	if err := readError(r, to); err != nil {
		return nil, err
	}
	return r.Fixed(r.Len()), nil
}

func (n *Node) ask(c *conn, q *request) ([]byte, error) {
	if err := c.send(q.kind(), q.encode()); err != nil {
		return nil, err
	}
	return c.expect(kindAnswer, 0) // ctx bounds it: a recovery may read much
}

// answerCalls serves a call connection until it ends.
func (n *Node) answerCalls(c *conn, h *hello) {
	var at session
	for {
		k, b, err := c.control(idleServer)
		var q request
		if err == nil {
			q, err = decodeRequest(k, b)
		}
		if err != nil {
			if !ended(err) {
				n.d.Log.Debug("call connection ended", "store", h.from, "err", err)
			}
			return
		}
		result, err := n.local.do(n.ctx, &at, &q)
		if err != nil {
			result = nil
		}
		if err := c.send(kindAnswer, append(appendError(nil, err), result...)); err != nil {
			return
		}
	}
}
