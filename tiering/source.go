// Package tiering moves sealed records to the bucket and reads them back: the
// object format, upload, manifests, reads, retention and garbage.
//
// It promises the order of a commit (object, manifest pages, head, and only then
// the journal may forget), that a reader gets exactly the bytes that were
// produced, and that memory, requests and etcd bytes don't grow with history. It
// never decides who owns a partition: every commit is the owner's guarded write.
package tiering

import (
	"context"
	"errors"

	"varve/internal/id"
	"varve/metadata"
)

// Batch is a committed record batch that is not in the tier yet.
type Batch struct {
	Base    int64 // first offset
	End     int64 // the offset behind the last
	Size    int32 // bytes
	MaxTime int64 // largest timestamp, ms
	// TimeKnown reports whether MaxTime is that of the records, and not just what the
	// producer wrote into the header.
	TimeKnown bool
	Epoch     id.Epoch
	Location  Location
}

// Location is where a source finds a batch again; only the source knows more.
type Location struct {
	Journal id.Journal
	Pos     uint64
}

// Producer is what a partition remembers of an idempotent producer (KIP-98),
// newest batches last.
type Producer struct {
	ID        int64
	Epoch     int16
	Timestamp int64 // when its newest batch was appended, ms
	Batches   []ProducerBatch
}

// ProducerBatch is one of a producer's last batches.
type ProducerBatch struct {
	FirstSequence int32
	LastSequence  int32
	Base          int64 // offset of the first record
}

// Aborted is an aborted transaction within a slice.
type Aborted struct {
	ProducerID int64
	First      int64 // offset of its first record
	Last       int64 // offset of its abort marker
}

// Run is a contiguous run of a partition's batches, taken at one moment.
type Run struct {
	Batches   []Batch
	Producers []Producer // as they were behind the last batch
	Aborted   []Aborted
}

// ErrNotOwner: the partition has another owner by now; nothing was changed.
var ErrNotOwner = errors.New("partition has another owner")

// Source is an owned partition, as far as the tier is concerned.
type Source interface {
	Partition() id.Partition
	// Recall reads what only the tier remembers of producers, so that Pending knows
	// all of them. It is called before Pending, and costs nothing once it succeeded.
	Recall(ctx context.Context) error
	// Pending gives what is committed, stable and behind the tiered end, at most
	// about limit bytes, at least one batch if there is any.
	Pending(limit int64) Run
	// PendingBytes says how much waits, and the append time in ms of the oldest of
	// it (0 if nothing waits).
	PendingBytes() (bytes, oldest int64)
	// Read fills p, of the batch's size, with its bytes.
	Read(ctx context.Context, b Batch, p []byte) error
	// Head is the head as last committed. It must not be changed.
	Head() *metadata.Head
	// Commit lets change alter a copy of the head and stores that, guarded by the
	// owner's own last write: ErrNotOwner if somebody else wrote. Calls for one
	// partition are serialized; an error of change ends the call and is returned.
	Commit(ctx context.Context, change func(*metadata.Head) error) error
}
