package metadata

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdSession is a lease that is kept alive through outages.
type etcdSession struct {
	s      *etcdStore
	lease  Lease
	lost   chan struct{}
	done   chan struct{}
	cancel context.CancelFunc
	once   sync.Once
}

// Session implements Store.
func (s *etcdStore) Session(ctx context.Context, ttl time.Duration) (Session, error) {
	secs, err := ttlSeconds(ttl)
	if err != nil {
		return nil, err
	}
	kctx, cancel := context.WithCancel(s.ctx)
	n := &etcdSession{s: s, lost: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	err = s.call(ctx, "grant", func(ctx context.Context) error {
		r, err := s.client.Grant(ctx, secs)
		if err == nil {
			n.lease = Lease(r.ID)
		}
		return err
	})
	if err == nil && !s.start(func() { n.run(kctx) }) {
		err = ErrClosed
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("grant lease: %w", err)
	}
	return n, nil
}

// run keeps the lease alive until the session ends or the lease is gone. The
// client gives up when it got no answer for the time to live; whether the lease
// is gone then is only for the server to say.
func (n *etcdSession) run(ctx context.Context) {
	defer close(n.done)
	wait := retryWait{}
	for {
		if n.follow(ctx) {
			wait.reset()
		}
		if ctx.Err() != nil {
			return
		}
		if n.gone(ctx) {
			n.s.metrics.lost.Inc()
			n.s.log.Warn("metadata session lost", "lease", fmt.Sprintf("%x", int64(n.lease)))
			close(n.lost)
			return
		}
		if !wait.sleep(ctx) {
			return
		}
	}
}

// follow reads the answers to keepalives until they end, and says whether there
// was one.
func (n *etcdSession) follow(ctx context.Context) bool {
	answers, err := n.s.client.KeepAlive(ctx, clientv3.LeaseID(n.lease))
	if err != nil {
		return false
	}
	any := false
	for range answers {
		any = true
		n.s.health.note(nil)
	}
	return any
}

// gone asks the server whether the lease is gone; no answer is no.
func (n *etcdSession) gone(ctx context.Context) bool {
	var ttl int64
	err := n.s.call(ctx, "ttl", func(ctx context.Context) error {
		r, err := n.s.client.TimeToLive(ctx, clientv3.LeaseID(n.lease))
		if err == nil {
			ttl = r.TTL
		}
		return err
	})
	return errors.Is(err, ErrSessionLost) || err == nil && ttl < 0
}

// Lease implements Session.
func (n *etcdSession) Lease() Lease { return n.lease }

// Lost implements Session.
func (n *etcdSession) Lost() <-chan struct{} { return n.lost }

// Close implements Session.
func (n *etcdSession) Close(ctx context.Context) error {
	n.cancel()
	<-n.done
	var err error
	n.once.Do(func() { err = n.s.Revoke(ctx, n.lease) })
	return err
}
