package partition

import (
	"errors"
	"time"

	"varve/internal/id"
	"varve/wal"
)

// copyBelow is the size up to which a piece is copied instead of shared: pinning
// a chunk for it would cost more.
const copyBelow = 16 << 10

// located is a batch to be read.
type located struct {
	ref
	journal id.Journal
}

// planned bounds the batches that are planned at a time. Of tiny ones there may be a million
// within the limit, and more places than records.
const planned = 1024

// plan lists the first batches from the one that holds the offset on, within the limit; at
// least one if one is wanted in any case. at is InTier if the offset is below what
// the index has. s becomes the state.
func (p *Partition) plan(r *Reading, s *State) (batches []located, at Place, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*s = p.state()
	if err := p.checkEpoch(r.Epoch); err != nil {
		return nil, Near, err
	}
	if r.Offset < s.LogStart || r.Offset > s.High {
		return nil, Near, ErrOutOfRange
	}
	i := p.mu.tail.find(r.Offset)
	if r.Offset < s.TieredEnd && (i == len(p.mu.tail.refs) || p.mu.tail.refs[i].base > r.Offset) {
		return nil, InTier, nil
	}
	refs, end := p.mu.tail.refs[i:], s.Readable(r.Stable)
	n, size := 0, 0
	for n < len(refs) && n < planned && refs[n].base < end && (size+int(refs[n].size) <= r.Limit || r.Always && n == 0) {
		size += int(refs[n].size)
		n++
	}
	batches = make([]located, n)
	for k := range batches {
		batches[k] = located{refs[k], p.mu.tail.journal(&refs[k])}
	}
	p.worked(int64(size))
	return batches, Near, nil
}

// remoteAt reports whether what is at offset has to be asked of a peer.
func (p *Partition) remoteAt(offset int64) bool {
	if p.deps.Remote == nil {
		return false
	}
	p.mu.Lock()
	var j id.Journal
	i := p.mu.tail.find(offset)
	found := i < len(p.mu.tail.refs) && p.mu.tail.refs[i].base <= offset
	if found {
		j = p.mu.tail.journal(&p.mu.tail.refs[i])
	}
	p.mu.Unlock()
	return found && p.remote(j)
}

func (p *Partition) remote(j id.Journal) bool {
	return p.deps.Remote != nil && j != nowhere && p.deps.Remote(j)
}

// remoteFor bounds how long one read goes on asking peers once it has something.
const remoteFor = time.Second

// ReadNear reads committed batches that are on this agent, and waits for no other. If those
// that are to be read first are elsewhere, at is where, nothing is read, and ReadFar reads them.
// Without memory for copies there are fewer records, or none.
func (p *Partition) ReadNear(r Reading) (d Data, at Place, s State, err error) {
	if p.remoteAt(r.Offset) {
		return d, AtPeers, p.State(), nil
	}
	at, err = p.readTail(&r, &d, &s)
	return d, at, s, err
}

// readTail reads out of journals into d, and sets s. at is InTier if the records have to be
// read from there. Peers are only asked if the first batch is there.
func (p *Partition) readTail(r *Reading, d *Data, s *State) (at Place, err error) {
	batches, at, err := p.plan(r, s)
	if err != nil || at == InTier || len(batches) == 0 {
		return at, err
	}
	far, began := p.remote(batches[0].journal), time.Time{}
	if far {
		began = time.Now()
	}
	for {
		more := len(batches) == planned
		next := batches[len(batches)-1].end()
		for len(batches) > 0 {
			if d.Bytes > 0 && p.remote(batches[0].journal) && !(far && time.Since(began) < remoteFor) {
				return Near, nil
			}
			n, err := p.take(d, batches)
			switch {
			case err == nil:
			case d.Bytes > 0 || errors.Is(err, errNoRoom): // a reader that goes on from there gets the error
				return Near, nil
			case errors.Is(err, wal.ErrGone):
				return InTier, nil // recycled since: what is gone is in the tier
			default:
				d.Release()
				return Near, err
			}
			batches = batches[n:]
		}
		if !more {
			return Near, nil
		}
		rest := Reading{Offset: next, Limit: r.Limit - d.Bytes, Epoch: r.Epoch, Stable: r.Stable}
		if batches, at, err = p.plan(&rest, s); err != nil || at == InTier || len(batches) == 0 {
			return Near, nil // what was read is an answer; a reader that goes on gets the error
		}
	}
}

// take reads the first batches, as many as are in one place.
func (p *Partition) take(d *Data, batches []located) (n int, err error) {
	if l := &batches[0]; l.journal == nowhere {
		b, err := p.batch(l)
		if err != nil {
			return 0, err
		}
		d.Pieces = append(d.Pieces, b)
		d.Bytes += len(b)
		return 1, nil
	}
	n, size := adjoining(batches)
	if p.share(d, batches[0].journal, batches[0].pos, size) {
		return n, nil
	}
	for room := p.deps.Copies.room(); n > 1 && size > room; n-- {
		size -= int(batches[n-1].size)
	}
	return n, p.copy(d, batches[0].journal, batches[0].pos, size)
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

// share adds bytes of a journal that are in memory, if they do and it is worth it.
func (p *Partition) share(d *Data, j id.Journal, pos wal.Pos, size int) bool {
	if size < copyBelow {
		return false
	}
	v, ok := p.deps.Local.View(j, pos, size)
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
func (p *Partition) copy(d *Data, j id.Journal, pos wal.Pos, size int) error {
	c := p.deps.Copies
	if d.Bytes > 0 && size > c.room() || !c.take(size) {
		return errNoRoom
	}
	d.copies = c
	d.copied += size
	buf := make([]byte, size)
	if err := p.deps.Local.ReadAt(j, buf, pos); err != nil {
		d.copied -= size
		c.give(size)
		return err
	}
	d.Pieces = append(d.Pieces, buf)
	d.Bytes += size
	return nil
}
