package metadata

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"varve/internal/backoff"
)

// etcdSession is a lease that is kept alive through outages.
type etcdSession struct {
	s      *etcdStore
	lease  Lease
	every  time.Duration // between two renewals
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
	n := &etcdSession{s: s, every: time.Duration(secs) * time.Second / 3, lost: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
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

// run keeps the lease alive until the session ends or the lease is gone, which is only
// for the servers to say. They are asked three times in its life: an etcd that lost its
// leader has a new one in about half of it, which renews all leases for their whole life.
func (n *etcdSession) run(ctx context.Context) {
	defer close(n.done)
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	wait := backoff.Retry{Policy: retries}
	for {
		err := n.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait.Reset()
			n.s.health.note(nil)
		case errors.Is(err, ErrSessionLost) && n.gone(ctx):
			n.s.metrics.lost.Inc()
			n.s.log.Warn("metadata session lost", "lease", fmt.Sprintf("%x", int64(n.lease)))
			close(n.lost)
			return
		default:
			if wait.Wait(ctx) != nil {
				return
			}
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// renew asks the servers once. What some of them don't answer is given up when it is
// time to ask again.
func (n *etcdSession) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.every)
	context.AfterFunc(ctx, cancel) // not before: the slow ones are to be known
	return n.s.servers.renew(ctx, n.lease)
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
