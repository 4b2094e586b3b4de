package object

import (
	"cmp"

	"varve/internal/id"
)

// Batch is a committed record batch that is not in the tier yet.
type Batch struct {
	Base    int64 // first offset
	End     int64 // the offset after the last
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

// Compare orders locations as they were written.
func (l Location) Compare(m Location) int {
	return cmp.Or(l.Journal.Compare(m.Journal), cmp.Compare(l.Pos, m.Pos))
}

// Run is a contiguous run of a partition's batches, taken at one moment.
type Run struct {
	Batches   []Batch
	Producers []Producer // as they were after the last batch
	Aborted   []Aborted
}
