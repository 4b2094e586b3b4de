package partition

import (
	"errors"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/wal"
)

// Reader reads a partition's log: the tail in journals, the rest in the tier.
type Reader struct {
	id   id.Partition
	deps *Deps
	mu   *guarded
	own  *Ownership
}

// located is a batch to be read.
type located struct {
	ref
	journal id.Journal
}

// read returns the batch.
func (l *located) read(local Local) (kafka.Batch, error) {
	b := make([]byte, l.size)
	if err := readAt(local, b, l.journal, l.pos, l.base, l.end(), l.epoch); err != nil {
		return nil, err
	}
	return b, nil
}

// planned bounds the batches that are planned at a time. Of tiny ones there may be a million
// within the limit, and more places than records.
const planned = 1024

// plan is log.plan, and counts what is to be read.
func (rd *Reader) plan(r *Reading, s *State) (batches []located, at Place, err error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	batches, size, at, err := rd.mu.log.plan(r, s)
	if err == nil && at == Near {
		rd.mu.work.count(int64(size))
	}
	return batches, at, err
}

// remoteAt reports whether what is at offset has to be asked of a peer.
func (rd *Reader) remoteAt(offset int64) bool {
	if rd.deps.Remote == nil {
		return false
	}
	rd.mu.Lock()
	j, found := rd.mu.log.tail.at(offset)
	rd.mu.Unlock()
	return found && rd.deps.remote(j)
}

// remote reports whether a journal has to be asked of a peer.
func (d *Deps) remote(j id.Journal) bool {
	return d.Remote != nil && j != nowhere && d.Remote(j)
}

// remoteFor bounds how long one read goes on asking peers once it has something.
const remoteFor = time.Second

// ReadNear reads committed batches that are on this agent, and waits for no other. If those
// that are to be read first are elsewhere, at is where, nothing is read, and ReadFar reads them.
// Without memory for copies there are fewer records, or none.
func (rd *Reader) ReadNear(r Reading) (d Data, at Place, s State, err error) {
	if rd.remoteAt(r.Offset) {
		return d, AtPeers, rd.mu.state(), nil
	}
	at, err = rd.readTail(&r, &d, &s)
	return d, at, s, err
}

// readTail reads out of journals into d, and sets s. at is InTier if the records have to be
// read from there. Peers are only asked if the first batch is there.
func (rd *Reader) readTail(r *Reading, d *Data, s *State) (at Place, err error) {
	batches, at, err := rd.plan(r, s)
	if err != nil || at == InTier || len(batches) == 0 {
		return at, err
	}
	far, began := rd.deps.remote(batches[0].journal), time.Time{}
	if far {
		began = time.Now()
	}
	for {
		more := len(batches) == planned
		next := batches[len(batches)-1].end()
		for len(batches) > 0 {
			if d.Bytes > 0 && rd.deps.remote(batches[0].journal) && !(far && time.Since(began) < remoteFor) {
				return Near, nil
			}
			n, err := d.take(rd.deps, batches)
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
		if batches, at, err = rd.plan(&rest, s); err != nil || at == InTier || len(batches) == 0 {
			return Near, nil // what was read is an answer; a reader that goes on gets the error
		}
	}
}
