package s3store

import (
	"context"
	"errors"
	"sync/atomic"
)

// Adapted makes up for what the store below can't do, as far as is known now.
type Adapted struct {
	Store
	found atomic.Pointer[Capabilities]
	clock *serverClock // nil: the store has none

	ruler  ruler  // nil: the store has no rules
	prefix string // of our keys, for the ruler
}

// Adapt trusts the inner store's Capabilities until Use is called.
func Adapt(inner Store) *Adapted {
	a := &Adapted{Store: inner}
	a.Use(inner.Capabilities())
	return a
}

// Use replaces what is known of the store, also while it is in use.
func (a *Adapted) Use(found Capabilities) { a.found.Store(&found) }

// Capabilities are those of the last call of Use.
func (a *Adapted) Capabilities() Capabilities { return *a.found.Load() }

// PutIfAbsent asks with Head first where the store would overwrite. Two writers
// of one key at the same time may then both succeed, and the later one's object
// stays: callers use keys that no other writer uses.
func (a *Adapted) PutIfAbsent(ctx context.Context, key string, body Body) error {
	if a.Capabilities().IfNoneMatch {
		return a.Store.PutIfAbsent(ctx, key, body)
	}
	switch _, err := a.Head(ctx, key); {
	case err == nil:
		return &callError{OpPutIfAbsent, key, ErrExists}
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return a.Put(ctx, key, body)
}
