package agent

import (
	"context"
	"sync"

	"varve/metadata"
)

// meddled is an etcd at which a test does something between an agent's requests, or
// instead of them.
type meddled struct {
	metadata.Store
	mu     sync.Mutex
	read   func(key string) error                 // before a Get or List; an error is its outcome
	revoke func(metadata.Lease) error             // before a Revoke; an error is its outcome
	listed func()                                 // after a List
	write  func(ops []metadata.Op) error          // before a Txn; an error is its outcome
	wrote  func(ops []metadata.Op, _ error) error // after a Txn; gives the outcome that is told
}

// with makes a store meddled with; w is the same for all who have it.
func (m *meddled) with(s metadata.Store) *meddled {
	m.Store = s
	return m
}

// set changes what is done, for requests that begin later.
func (m *meddled) set(change func(*meddled)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *meddled) hooks() (func(string) error, func([]metadata.Op) error, func([]metadata.Op, error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read, m.write, m.wrote
}

func (m *meddled) Get(ctx context.Context, key string) (metadata.KV, error) {
	if read, _, _ := m.hooks(); read != nil {
		if err := read(key); err != nil {
			return metadata.KV{}, err
		}
	}
	return m.Store.Get(ctx, key)
}

func (m *meddled) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	if read, _, _ := m.hooks(); read != nil {
		if err := read(prefix); err != nil {
			return nil, 0, err
		}
	}
	kvs, rev, err := m.Store.List(ctx, prefix)
	m.mu.Lock()
	listed := m.listed
	m.mu.Unlock()
	if listed != nil {
		listed()
	}
	return kvs, rev, err
}

func (m *meddled) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	_, write, wrote := m.hooks()
	if write != nil {
		if err := write(ops); err != nil {
			return 0, err
		}
	}
	rev, err := m.Store.Txn(ctx, guards, ops...)
	if wrote != nil {
		err = wrote(ops, err)
	}
	return rev, err
}

func (m *meddled) Revoke(ctx context.Context, l metadata.Lease) error {
	m.mu.Lock()
	revoke := m.revoke
	m.mu.Unlock()
	if revoke != nil {
		if err := revoke(l); err != nil {
			return err
		}
	}
	return m.Store.Revoke(ctx, l)
}

// puts returns the value that a transaction writes to a key, or nil.
func puts(ops []metadata.Op, key string) []byte {
	for _, o := range ops {
		if o.Key == key && !o.Delete {
			return o.Value
		}
	}
	return nil
}
