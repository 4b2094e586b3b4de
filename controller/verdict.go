package controller

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"varve/internal/id"
)

// suspect is an incarnation without a session.
type suspect struct {
	since   time.Time
	asked   time.Time // when it was last asked, or is being
	asking  bool
	dead    bool
	silence error
}

// pingPatience is how long a suspect has to answer.
const pingPatience = 500 * time.Millisecond

// strandedGraces is for how many times Grace an agent without a session counts as
// alive that answers: then it is cut off from etcd for good, and only the
// clients that it has can find it.
const strandedGraces = 5

// dead reports whether an incarnation is to be replaced. A lease that ended while etcd
// was away is no death: the agent itself is asked first, and its peers. Who has no journal that may
// still grow can't acknowledge anything, and needn't be asked. A wrong verdict costs
// a failover and nothing else.
func (c *Controller) dead(ctx context.Context, p *picture, i id.Incarnation, b id.Broker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deps.View.Alive(i, b) || i == c.deps.Incarnation {
		delete(c.mu.suspects, i)
		return false
	}
	if c.deps.View.Succeeded(i, b) || !p.unsealed[i] {
		return true
	}
	s := c.mu.suspects[i]
	if s == nil {
		s = &suspect{since: time.Now()}
		c.mu.suspects[i] = s
	}
	if !s.dead && !s.asking && time.Since(s.asked) >= retryEvery {
		s.asking = true
		c.tasks.Go(func() { c.ask(ctx, i, s) })
	}
	return s.dead
}

// forgetSuspects forgets those that nothing waits for any more.
func (c *Controller) forgetSuspects(p *picture) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.mu.suspects {
		if !p.unsealed[i] && !s.asking {
			delete(c.mu.suspects, i)
		}
	}
}

// ask finds out whether a suspect lives.
func (c *Controller) ask(ctx context.Context, i id.Incarnation, s *suspect) {
	found, err := c.hear(ctx, i)
	c.mu.Lock()
	s.asking, s.asked, s.silence = false, time.Now(), err
	silent := time.Since(s.since)
	switch {
	case ctx.Err() != nil:
	case err == nil && found == i:
		s.dead = silent >= strandedGraces*c.deps.Grace
	case err == nil, errors.Is(err, syscall.ECONNREFUSED), silent >= c.deps.Grace, errors.Is(err, context.DeadlineExceeded):
		s.dead = true
	}
	dead := s.dead
	c.mu.Unlock()
	if dead {
		c.log.Warn("agent declared dead", "incarnation", i, "found", found, "err", err)
		c.metrics.deaths.Inc()
		c.deps.View.Touch()
	}
}

// hear returns the incarnation that answers at the store of i. Its peers are asked at the
// same time: one that finds i there is as good, since it may be only this agent that can't
// reach it. That costs no time: one that is silent for this agent has pingPatience anyhow.
func (c *Controller) hear(ctx context.Context, i id.Incarnation) (id.Incarnation, error) {
	store, ok := c.storeOf(i)
	if !ok {
		return 0, errNoStore
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	peers := make(chan id.Incarnation)
	for _, a := range c.deps.View.Agents() {
		if a.Incarnation == c.deps.Incarnation || a.Store == store {
			continue
		}
		c.tasks.Go(func() {
			found, err := c.deps.Peers.Probe(ctx, a.Store, store)
			if err != nil {
				return // it doesn't know
			}
			select {
			case peers <- found:
			case <-ctx.Done():
			}
		})
	}
	own := make(chan answer, 1)
	c.tasks.Go(func() {
		found, err := c.deps.Peers.Ping(ctx, store)
		own <- answer{store, uint64(found), err}
	})
	return c.weigh(ctx, i, own, peers)
}

// weigh waits for this agent's own impression, and if that is none, for a peer's.
func (c *Controller) weigh(ctx context.Context, i id.Incarnation, own <-chan answer, peers <-chan id.Incarnation) (id.Incarnation, error) {
	var failed error
	for {
		select {
		case a := <-own:
			if a.err == nil || errors.Is(a.err, syscall.ECONNREFUSED) {
				return id.Incarnation(a.last), a.err
			}
			if ctx.Err() == nil {
				failed = a.err // no way to it is known here; a peer may know one
			}
		case found := <-peers:
			if found == i {
				return i, nil
			}
		case <-ctx.Done():
			if failed != nil {
				return 0, failed
			}
			return 0, fmt.Errorf("it is silent: %w", ctx.Err())
		}
	}
}

// errNoStore: it isn't known on which store an incarnation ran.
var errNoStore = errors.New("its store is not known")

// storeOf is the store of an incarnation, by the ensemble of a journal of its: the
// writer's own is the first.
func (c *Controller) storeOf(i id.Incarnation) (id.Store, bool) {
	for j, rec := range c.deps.View.Journals() {
		if j.Writer == i && len(rec.Ensemble) > 0 {
			return rec.Ensemble[0], true
		}
	}
	return id.Store{}, false
}
