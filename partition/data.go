package partition

import (
	"errors"
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

// take reads the first batches, as many as are in one place.
func (d *Data) take(deps *Deps, batches []located) (n int, err error) {
	if l := &batches[0]; l.journal == nowhere {
		b, err := l.read(deps.Local)
		if err != nil {
			return 0, err
		}
		d.Pieces = append(d.Pieces, b)
		d.Bytes += len(b)
		return 1, nil
	}
	n, size := adjoining(batches)
	if d.share(deps.Local, batches[0].journal, batches[0].pos, size) {
		return n, nil
	}
	for room := deps.Copies.room(); n > 1 && size > room; n-- {
		size -= int(batches[n-1].size)
	}
	return n, d.copy(deps, batches[0].journal, batches[0].pos, size)
}

// adjoining returns how many of the first batches are contiguous, and how
// many bytes they are together.
func adjoining(batches []located) (n, size int) {
	first := &batches[0]
	for n < len(batches) && batches[n].journal == first.journal && batches[n].pos == first.pos+wal.Pos(size) {
		size += int(batches[n].size)
		n++
	}
	return n, size
}

// copyBelow is the size up to which a piece is copied instead of shared: pinning
// a chunk for it would cost more.
const copyBelow = 16 << 10

// share adds bytes of a journal that are in memory, if they do and it is worth it.
func (d *Data) share(local Local, j id.Journal, pos wal.Pos, size int) bool {
	if size < copyBelow {
		return false
	}
	v, ok := local.View(j, pos, size)
	if ok {
		d.views = append(d.views, v)
		d.Pieces = append(d.Pieces, v.Bytes)
		d.Bytes += size
	}
	return ok
}

// errNoRoom: others have copied too much.
var errNoRoom = errors.New("no memory for copies of records")

// copy adds bytes of a journal that are copied.
func (d *Data) copy(deps *Deps, j id.Journal, pos wal.Pos, size int) error {
	c := deps.Copies
	if d.Bytes > 0 && size > c.room() || !c.take(size) {
		return errNoRoom
	}
	d.copies = c
	d.copied += size
	buf := make([]byte, size)
	if err := deps.Local.ReadAt(j, buf, pos); err != nil {
		d.copied -= size
		c.give(size)
		return err
	}
	d.Pieces = append(d.Pieces, buf)
	d.Bytes += size
	return nil
}
