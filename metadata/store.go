// Package metadata is the seam to etcd: a small transactional store, a writer that packs
// many writes into few transactions, and a memory twin that passes the same suite.
//
// It promises etcd's guarantees (linearizable reads and guarded transactions,
// watches that miss nothing) and hides etcd's client, which is imported nowhere
// else. It knows nothing of the keys and values that are
// kept there (metadata/schema).
package metadata

import (
	"context"
	"errors"
	"time"
)

// Errors that callers act on.
var (
	// ErrNotFound: the key is not there.
	ErrNotFound = errors.New("key not found")
	// ErrConflict: a guard of the transaction does not hold; nothing was written.
	ErrConflict = errors.New("guard does not hold")
	// ErrUnavailable: the store can't be reached or has no leader. A transaction
	// that ends so may or may not have been applied.
	ErrUnavailable = errors.New("metadata store unavailable")
	// ErrSessionLost: the session's lease is gone; nothing was written with it.
	ErrSessionLost = errors.New("session lost")
	// ErrTooLarge: the transaction has more than MaxTxnOps guards or writes, or
	// more than MaxTxnBytes, or more than the server accepts.
	ErrTooLarge = errors.New("transaction too large")
	// ErrDenied: the store refuses our credentials, or they don't allow the call.
	ErrDenied = errors.New("metadata store denied access")
	// ErrClosed: the store, or the writer, was closed.
	ErrClosed = errors.New("metadata store closed")
)

// Revision is the store's logical clock: it grows with every transaction.
type Revision int64

// Lease is the id of a session's lease; zero is none.
type Lease int64

// KV is a key with its value and the revisions that made and last changed it.
type KV struct {
	Key    string
	Value  []byte
	Create Revision
	Mod    Revision
	Lease  Lease
}

// Guard is a condition of a transaction: the key's last change was at Mod.
// Mod zero means that the key is absent.
type Guard struct {
	Key string
	Mod Revision
}

// Op is one write of a transaction.
type Op struct {
	Key    string
	Value  []byte
	Lease  Lease // attached to the key when not zero
	Delete bool
}

// Put writes a key.
func Put(key string, value []byte) Op { return Op{Key: key, Value: value} }

// PutLeased writes a key that goes with the session's lease.
func PutLeased(key string, value []byte, l Lease) Op { return Op{Key: key, Value: value, Lease: l} }

// Delete removes a key; an absent one is no error.
func Delete(key string) Op { return Op{Key: key, Delete: true} }

// Limits of one transaction, which etcd's own defaults allow.
const (
	// MaxTxnOps is how many guards, and how many writes, one transaction may have.
	MaxTxnOps = 128
	// MaxTxnBytes bounds the keys and values of one transaction together.
	MaxTxnBytes = 1<<20 + 256<<10
)

// EventType is what happened to a key.
type EventType uint8

// The kinds of events.
const (
	EventPut EventType = iota + 1
	EventDelete
)

// Event is one change of one key.
type Event struct {
	Type EventType
	KV   KV // of a deleted key: only Key and Mod
}

// Batch is what a watch delivers: all the events of one or more whole
// revisions, in order, up to Rev. Reset is set if the watch starts or lost its
// place (compaction): what the watcher knows is void, and Events hold the whole
// state at Rev as puts, in order of keys.
type Batch struct {
	Rev    Revision
	Reset  bool
	Events []Event
}

// Store is a transactional key-value store. All methods are safe for concurrent
// use and honour ctx.
type Store interface {
	// Get reads one key, or ErrNotFound.
	Get(ctx context.Context, key string) (KV, error)
	// List reads all keys with the prefix, in order, as of one revision, which
	// it returns; large results are paged inside. An empty prefix means all.
	List(ctx context.Context, prefix string) ([]KV, Revision, error)
	// Txn applies all of ops if all guards hold, else ErrConflict. No key may
	// stand in ops twice. It returns the revision of the transaction, which is
	// the present one if nothing changed. A write with a lease that is gone is
	// ErrSessionLost; a write without one takes the key off its lease.
	Txn(ctx context.Context, guards []Guard, ops ...Op) (Revision, error)
	// Watch delivers, after a first Batch with Reset that holds the state, every
	// change below prefix in order until ctx ends; then the channel is closed.
	// An outage of the store is waited out. A slow watcher costs bounded memory:
	// it gets larger batches, or a Reset.
	Watch(ctx context.Context, prefix string) <-chan Batch
	// Session grants a lease of ttl, in whole seconds (rounded up; the store may
	// have a minimum), and keeps it alive until Close. ctx bounds the grant only.
	Session(ctx context.Context, ttl time.Duration) (Session, error)
	// Revoke ends anybody's lease at once, and with it its keys; it is how a
	// peer that saw an agent die tells the others. A lease that is gone is no
	// error.
	Revoke(ctx context.Context, lease Lease) error
	// Close ends watches and sessions without revoking leases, and waits for
	// them. Calls after it are ErrClosed.
	Close() error
}

// Session is a lease that is kept alive.
type Session interface {
	Lease() Lease
	// Lost is closed once the store said that the lease is gone; an outage alone
	// doesn't close it.
	Lost() <-chan struct{}
	// Close revokes the lease, and with it its keys; while the store is away it
	// ends with an error and leaves the lease to expire.
	Close(ctx context.Context) error
}
