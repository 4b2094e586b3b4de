package sim

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"varve/internal/backoff"
	"varve/metadata"
)

// meta is a process's way to the metadata store: through its gate, in some time, and
// now and then the answer gets lost.
type meta struct {
	metadata.Store
	handle *metadata.MemoryStore
	g      *gate
	book   *book

	mu     sync.Mutex
	random *rand.Rand
	lossy  bool
	cuts   int // how many faults cut it off now
}

// connect ends a fault that cuts the process off, or begins one.
func (m *meta) connect(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if yes {
		m.cuts--
	} else {
		m.cuts++
	}
	m.handle.SetConnected(m.cuts == 0)
}

func (m *meta) setLossy(yes bool) {
	m.mu.Lock()
	m.lossy = yes
	m.mu.Unlock()
}

// trip passes the gate and takes time; lose says that the answer won't arrive.
func (m *meta) trip(ctx context.Context) (lose bool, err error) {
	if err := m.g.pass(); err != nil {
		return false, err
	}
	m.mu.Lock()
	d := 50*time.Microsecond + time.Duration(m.random.Int64N(int64(3*time.Millisecond)))
	lose = m.random.IntN(4) == 0 && m.lossy
	m.mu.Unlock()
	if err := backoff.Sleep(ctx, d); err != nil {
		return false, err
	}
	return lose, m.g.pass()
}

func (m *meta) Get(ctx context.Context, key string) (metadata.KV, error) {
	if _, err := m.trip(ctx); err != nil {
		return metadata.KV{}, err
	}
	kv, err := m.Store.Get(ctx, key)
	if dead := m.g.pass(); dead != nil {
		return metadata.KV{}, dead
	}
	return kv, err
}

func (m *meta) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	if _, err := m.trip(ctx); err != nil {
		return nil, 0, err
	}
	kvs, rev, err := m.Store.List(ctx, prefix)
	if dead := m.g.pass(); dead != nil {
		return nil, 0, dead
	}
	return kvs, rev, err
}

func (m *meta) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	lose, err := m.trip(ctx)
	if err != nil {
		return 0, err
	}
	rev, err := m.Store.Txn(ctx, guards, ops...)
	if err == nil {
		m.book.note(rev, ops)
	}
	if dead := m.g.pass(); dead != nil {
		return 0, dead
	}
	if lose {
		return 0, metadata.ErrUnavailable
	}
	return rev, err
}

func (m *meta) Session(ctx context.Context, ttl time.Duration) (metadata.Session, error) {
	if _, err := m.trip(ctx); err != nil {
		return nil, err
	}
	return m.Store.Session(ctx, ttl)
}

func (m *meta) Revoke(ctx context.Context, l metadata.Lease) error {
	if _, err := m.trip(ctx); err != nil {
		return err
	}
	return m.Store.Revoke(ctx, l)
}

// Watch hands on what the store delivers, while the process runs.
func (m *meta) Watch(ctx context.Context, prefix string) <-chan metadata.Batch {
	in, out := m.Store.Watch(ctx, prefix), make(chan metadata.Batch)
	go func() {
		defer close(out)
		for b := range in {
			m.mu.Lock()
			late := time.Duration(m.random.Int64N(int64(3 * time.Millisecond)))
			m.mu.Unlock()
			if backoff.Sleep(ctx, late) != nil || m.g.pass() != nil {
				continue // until the store closes it
			}
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	return out
}
