package metadata

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// memorySession keeps a lease of a Memory alive as etcd's client does: every
// third of its time to live.
type memorySession struct {
	s      *MemoryStore
	lease  Lease
	ttl    time.Duration
	lost   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once
}

// Session implements Store.
func (s *MemoryStore) Session(ctx context.Context, ttl time.Duration) (Session, error) {
	secs, err := ttlSeconds(ttl)
	if err != nil {
		return nil, err
	}
	kctx, cancel := context.WithCancel(s.ctx)
	n := &memorySession{s: s, ttl: time.Duration(secs) * time.Second,
		lost: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	err = s.call(ctx, func() error {
		n.lease = s.m.grant(n.ttl)
		s.start(func() { n.run(kctx) })
		return nil
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("grant lease: %w", err)
	}
	return n, nil
}

// run renews the lease until the session ends or the lease is gone.
func (n *memorySession) run(ctx context.Context) {
	defer close(n.done)
	tick := time.NewTicker(n.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !n.renew(ctx) {
			return
		}
	}
}

// renew extends the lease once the store can be reached; false is the end.
func (n *memorySession) renew(ctx context.Context) bool {
	for {
		done, changed, err := n.s.try(ctx, n.extend)
		if done {
			return err == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// extend renews the lease for its whole time; the lock is held.
func (n *memorySession) extend() error {
	l := n.s.m.mu.leases[n.lease]
	if l == nil {
		close(n.lost)
		return ErrSessionLost
	}
	l.timer.Reset(l.ttl)
	return nil
}

// Lease implements Session.
func (n *memorySession) Lease() Lease { return n.lease }

// Lost implements Session.
func (n *memorySession) Lost() <-chan struct{} { return n.lost }

// Close implements Session.
func (n *memorySession) Close(ctx context.Context) error {
	n.cancel()
	<-n.done
	var err error
	n.once.Do(func() { err = n.s.Revoke(ctx, n.lease) })
	return err
}
