package partition

import (
	"errors"
	"time"

	"varve/internal/id"
	"varve/wal"
)

// Data is what a read found: whole batches, in order, in pieces that may be
// shared with the journal. It must be released.
type Data struct {
	Pieces [][]byte
	Bytes  int
	views  []wal.View
	copied int // bytes of Pieces that count in copies
	copies *Copies
}

// Release gives shared memory back.
func (d *Data) Release() {
	for i := range d.views {
		d.views[i].Release()
	}
	d.copies.give(d.copied)
	d.views, d.Pieces, d.Bytes, d.copied = nil, nil, 0, 0
}

// copyBelow is the size up to which a piece is copied instead of shared: pinning
// a chunk for it would cost more.
const copyBelow = 16 << 10

// located is a batch to be read.
type located struct {
	ref
	journal id.Journal
}

// plan lists the batches from the one that holds offset on, within max bytes; at
// least one if one is wanted in any case. tier says that the offset lies below
// what the index has.
func (p *Partition) plan(offset int64, limit int, always bool, epoch id.Epoch) (batches []located, tier bool, s State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s = p.state()
	if err := p.checkEpoch(epoch); err != nil {
		return nil, false, s, err
	}
	if offset < p.mu.logStart || offset > p.mu.high {
		return nil, false, s, ErrOutOfRange
	}
	i := p.mu.tail.find(offset)
	if offset < s.TieredEnd && (i == len(p.mu.tail.refs) || p.mu.tail.refs[i].base > offset) {
		return nil, true, s, nil
	}
	var size int64
	for ; i < len(p.mu.tail.refs); i++ {
		r := &p.mu.tail.refs[i]
		if r.base >= p.mu.high || int(r.size) > limit && !(always && len(batches) == 0) {
			break
		}
		batches = append(batches, located{*r, p.mu.tail.journal(r)})
		limit -= int(r.size)
		size += int64(r.size)
	}
	p.worked(size)
	return batches, false, s, nil
}

// Remote reports whether what lies at offset has to be asked of a peer, which may take long.
func (p *Partition) Remote(offset int64) bool {
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

// Tail reads committed batches from the local journals. tier says that the
// offset must be read from the tier instead. Peers are only asked if the first batch
// lies there. Without memory for copies there are fewer records, or none.
func (p *Partition) Tail(offset int64, limit int, always bool, epoch id.Epoch) (d Data, tier bool, s State, err error) {
	batches, tier, s, err := p.plan(offset, limit, always, epoch)
	if err != nil || tier || len(batches) == 0 {
		return d, tier, s, err
	}
	far, began := p.remote(batches[0].journal), time.Now()
	for len(batches) > 0 {
		if d.Bytes > 0 && p.remote(batches[0].journal) && !(far && time.Since(began) < remoteFor) {
			return d, false, s, nil
		}
		n, err := p.take(&d, batches)
		switch {
		case err == nil:
		case d.Bytes > 0 || errors.Is(err, errNoRoom): // who goes on behind that is told
			return d, false, s, nil
		case errors.Is(err, wal.ErrGone):
			return d, true, s, nil // recycled since: what is gone is in the tier
		default:
			d.Release()
			return d, false, s, err
		}
		batches = batches[n:]
	}
	return d, false, s, nil
}

// take reads the first batches, as many as lie in one place.
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

// adjoining says how many of the first batches lie one after another, and how
// many bytes they are together.
func adjoining(batches []located) (n, size int) {
	first := &batches[0]
	for n < len(batches) && batches[n].journal == first.journal && batches[n].pos == first.pos+wal.Pos(size) {
		size += int(batches[n].size)
		n++
	}
	return n, size
}

// share adds bytes of a journal that lie in memory, if they do and it is worth it.
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
