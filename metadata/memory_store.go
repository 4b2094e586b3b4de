package metadata

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// MemoryStore is one agent's handle on a Memory.
type MemoryStore struct {
	m      *Memory
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // watches and sessions

	// Guarded by m.mu.
	cutOff bool
	closed bool
}

var _ Store = (*MemoryStore)(nil)

// call runs do under the lock as soon as the store can be reached.
func (s *MemoryStore) call(ctx context.Context, do func() error) error {
	timeout := time.NewTimer(s.m.RequestTimeout)
	defer timeout.Stop()
	for {
		done, changed, err := s.try(ctx, do)
		if done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return ErrClosed
		case <-timeout.C:
			return ErrUnavailable
		}
	}
}

// try runs do if the store can be reached, or else returns what to wait for.
func (s *MemoryStore) try(ctx context.Context, do func() error) (bool, <-chan struct{}, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	switch {
	case s.closed:
		return true, nil, ErrClosed
	case ctx.Err() != nil:
		return true, nil, ctx.Err()
	case s.m.mu.away || s.cutOff:
		return false, s.m.mu.changed, nil
	}
	return true, nil, do()
}

// start runs a goroutine that Close waits for, unless the store is closed; the
// lock is held.
func (s *MemoryStore) start(run func()) bool {
	if s.closed {
		return false
	}
	s.wg.Go(run)
	return true
}

// Get implements Store.
func (s *MemoryStore) Get(ctx context.Context, key string) (KV, error) {
	if err := checkKey(key); err != nil {
		return KV{}, fmt.Errorf("get: %w", err)
	}
	var kv KV
	err := s.call(ctx, func() error {
		var ok bool
		if kv, ok = s.m.mu.keys[key]; !ok {
			return ErrNotFound
		}
		return nil
	})
	if err != nil {
		return KV{}, fmt.Errorf("get %s: %w", key, err)
	}
	return kv.clone(), nil
}

// List implements Store.
func (s *MemoryStore) List(ctx context.Context, prefix string) ([]KV, Revision, error) {
	var kvs []KV
	var rev Revision
	err := s.call(ctx, func() error {
		kvs, rev = s.m.list(prefix), s.m.mu.rev
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", prefix, err)
	}
	for i := range kvs {
		kvs[i] = kvs[i].clone()
	}
	return kvs, rev, nil
}

// Txn implements Store.
func (s *MemoryStore) Txn(ctx context.Context, guards []Guard, ops ...Op) (Revision, error) {
	if err := checkTxn(guards, ops); err != nil {
		return 0, fmt.Errorf("txn: %w", err)
	}
	var rev Revision
	err := s.call(ctx, func() (err error) {
		rev, err = s.m.apply(guards, ops)
		if err == nil && s.m.mu.loseReply > 0 {
			s.m.mu.loseReply--
			err = ErrUnavailable
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("txn: %w", err)
	}
	return rev, nil
}

// Revoke implements Store.
func (s *MemoryStore) Revoke(ctx context.Context, lease Lease) error {
	err := s.call(ctx, func() error {
		s.m.revoke(lease)
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke lease: %w", err)
	}
	return nil
}

// Close implements Store.
func (s *MemoryStore) Close() error {
	s.m.mu.Lock()
	s.closed = true
	s.m.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}
