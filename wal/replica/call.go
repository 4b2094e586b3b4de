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

// remote asks other agents' stores.
type remote struct {
	endpoint *endpoint
	mu       struct {
		sync.Mutex
		closed bool
		pools  map[id.Store]*pool // of call connections
	}
}

func newRemote(e *endpoint) *remote {
	r := &remote{endpoint: e}
	r.mu.pools = map[id.Store]*pool{}
	return r
}

// refuse lets no further calls begin.
func (r *remote) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closed = true
}

// close closes the connections that no one uses; no call is under way.
func (r *remote) close() {
	r.mu.Lock()
	pools := r.mu.pools
	r.mu.pools = nil
	r.mu.Unlock()
	for _, p := range pools {
		p.close()
	}
}

func (r *remote) pool(s id.Store) (*pool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, ErrClosed
	}
	p := r.mu.pools[s]
	if p == nil {
		p = &pool{slots: make(chan struct{}, maxCalls)}
		r.mu.pools[s] = p
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

// call asks a store. A connection that turns out to be dead is replaced once: every
// request may be repeated.
func (r *remote) call(ctx context.Context, to id.Store, q *request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	p, err := r.pool(to)
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
		b, err := r.exchange(ctx, p, c, to, q)
		if err == nil || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return b, err
		}
	}
	c, _, err := r.endpoint.connect(ctx, to, purposeCall, id.Journal{})
	if err != nil {
		return nil, err
	}
	b, err := r.exchange(ctx, p, c, to, q)
	if errors.Is(err, ErrUnreachable) && ctx.Err() == nil {
		r.endpoint.lost(to, err)
	}
	return b, err
}

// exchange sends a request and reads the answer; then the connection is kept, or
// closed if it failed.
func (r *remote) exchange(ctx context.Context, p *pool, c *conn, to id.Store, q *request) ([]byte, error) {
	stop := c.until(ctx)
	stopToo := c.until(r.endpoint.ctx)
	b, err := ask(c, q)
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
	answer := wire.NewReader(b)
	if err := readError(answer, to); err != nil {
		return nil, err
	}
	return answer.Fixed(answer.Len()), nil
}

func ask(c *conn, q *request) ([]byte, error) {
	if err := c.send(q.kind(), q.encode()); err != nil {
		return nil, err
	}
	return c.expect(kindAnswer, 0) // ctx bounds it: a recovery may read much
}
