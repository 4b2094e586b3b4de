package partition

import (
	"context"
	"errors"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
	"varve/tiering/read"
	"varve/wal"
)

// Tier answers what only the bucket knows of a partition, by its head (read.Reader).
type Tier interface {
	// Read returns the batches from the one that holds offset on, at most limit bytes but at
	// least one batch.
	Read(ctx context.Context, h *schema.Head, p id.Partition, offset int64, limit int) (read.Data, error)
	// HoleAt returns a hole that holds the offset, if it is known and was looked at just now.
	HoleAt(p id.Partition, offset int64) *object.HoleError
	// FoundHole notes a hole; it reports whether this is news.
	FoundHole(e *object.HoleError, now time.Time) bool
	// Producers returns the producers as of the newest slice.
	Producers(ctx context.Context, h *schema.Head, p id.Partition) ([]object.Producer, error)
	// FindTime returns the first record whose timestamp is at least at, if there is one.
	FindTime(ctx context.Context, h *schema.Head, p id.Partition, at int64) (object.Stamp, bool, error)
	// MaxTime returns the record with the largest timestamp, if any record has one.
	MaxTime(ctx context.Context, h *schema.Head, p id.Partition) (object.Stamp, bool, error)
	// EpochEnd returns the largest epoch that is at most e, and the offset at which it ended.
	// It is not ok if the tier has no epoch after e.
	EpochEnd(ctx context.Context, h *schema.Head, p id.Partition, e id.Epoch) (found id.Epoch, end int64, ok bool, err error)
}

// Stamp is a record's place: its offset, timestamp and leader epoch.
type Stamp = object.Stamp

// withHead calls look with the head. If what look reads is gone and there is a newer
// head by now, it calls it again with that: the records have moved from the journals to the
// tier meanwhile, or into another object, or were deleted.
func (rd *Reader) withHead(look func(*schema.Head) error) error {
	for {
		head := rd.mu.head()
		err := look(head)
		if !errors.Is(err, wal.ErrGone) && !errors.Is(err, object.ErrGone) || rd.mu.head() == head {
			return err
		}
	}
}
