package partition

import (
	"varve/internal/id"
	"varve/tiering/read"
	"varve/wal"
)

// Reading is what is to be read of a partition.
type Reading struct {
	Offset int64    // the first batch is the one that holds it
	Limit  int      // of the batches together, in bytes
	Always bool     // one batch at least, however large
	Epoch  id.Epoch // leader epoch that the reader knows; NoEpoch: none
	Stable bool     // only records of committed transactions (read_committed)
}

// Place is where records are, as far as that decides how long a read may take.
type Place uint8

const (
	// Near: in the memory or on the disk of this agent.
	Near Place = iota
	// AtPeers: in journals that only peers have.
	AtPeers
	// InTier: in the bucket only.
	InTier
)

// Data is what a read found: whole batches, in order, in pieces that may be shared with the
// journal or the tier's cache and must not be changed. It must be released.
type Data struct {
	Pieces [][]byte
	Bytes  int
	Tier   bool // it was read from the tier

	views  []wal.View
	copied int // bytes of Pieces that count in copies
	copies *Copies
	lent   read.Data
}

// Release returns shared memory.
func (d *Data) Release() {
	for i := range d.views {
		d.views[i].Release()
	}
	d.copies.give(d.copied)
	d.lent.Release()
	*d = Data{}
}
