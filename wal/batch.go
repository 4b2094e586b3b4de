package wal

import (
	"errors"
	"fmt"
)

// batch is a range of contiguous closed entries: one write and one
// sync. It refers to no entry, since those may be settled or carried over
// meanwhile.
type batch struct {
	file        *file
	chunk       *chunk
	from, until int64 // in the chunk
	at          int64 // in the file
	first, last uint64
	appends     int
}

// run writes entries until the writer is closed, has failed, or has left the
// journal and all that counts of it is on disk.
func (l *lane) run() {
	w := l.w
	defer w.disks.Done()
	for {
		b, ok, over := l.next()
		switch {
		case ok:
			if !l.store(b) {
				return
			}
			continue
		case over:
			return
		}
		select {
		case <-l.wake:
			continue
		case <-w.stop:
			if b, ok, _ = l.next(); !ok {
				return
			}
			if !l.store(b) {
				return
			}
		}
	}
}

// next returns what is to be written, closing the open entry if nothing else waits.
// over reports that nothing ever will be.
func (l *lane) next() (b batch, ok, over bool) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.mu.failed {
		return b, false, true
	}
	if l.stored >= l.closed && l.open != nil {
		l.closeEntry()
	}
	if l.stored >= l.closed {
		return b, false, l.left
	}
	e := l.nth(l.stored + 1)
	b = batch{file: e.file, chunk: e.chunk, from: e.from, at: e.header.pos.off(), first: e.number}
	b.add(e)
	for b.last < l.closed {
		e := l.nth(b.last + 1)
		if e.chunk != b.chunk || e.from != b.until {
			break
		}
		b.add(e)
	}
	b.chunk.pending.Add(1)
	return b, true, false
}

func (b *batch) add(e *entry) {
	b.until, b.last = e.behind(), e.number
	b.appends += len(e.owners)
}

// store writes a batch and makes it durable; false ends the lane.
func (l *lane) store(b batch) bool {
	w := l.w
	err := l.write(&b)
	w.mu.Lock()
	if b.chunk.pending.Add(-1) == 0 {
		w.freedLocked()
	}
	dropped, beyond := l.left && errors.Is(err, ErrUnknown), l.left && b.last > l.closed
	switch {
	case err == nil:
		l.wrote(&b)
	case dropped: // no one needs what isn't on this disk: its memory is free
		l.stored = l.closed
		l.settle()
	}
	w.mu.Unlock()
	switch {
	case err == nil:
	case dropped:
		return false
	case beyond && errors.Is(err, ErrClosed): // sealed meanwhile: what counts is taken anew
		return true
	case errors.Is(err, ErrFenced), errors.Is(err, ErrClosed), errors.Is(err, ErrUnknown):
		w.Abort(err)
		return false
	default:
		w.Abort(err)
		w.store.disk.fail(w.Err())
		return false
	}
	if l.rep != nil {
		l.rep.Durable(b.last)
		return true
	}
	signal(w.tell)
	return true
}

// wrote notes what is durable; the writer's lock is held.
func (l *lane) wrote(b *batch) {
	l.stored = max(l.stored, b.last)
	l.held.wrote(l.w, l.stored, makePos(b.file.num, b.at+b.until-b.from))
	if l.rep == nil && !l.frozen {
		l.bound = l.stored
	}
	l.settle()
}

func (l *lane) write(b *batch) error {
	s := l.w.store
	l.held.gate <- struct{}{}
	defer func() { <-l.held.gate }()
	if err := l.held.admit(0, b.first); err != nil {
		return err
	}
	p := b.chunk.buf[b.from:b.until]
	started := s.clock()
	if _, err := b.file.f.WriteAt(p, b.at); err != nil {
		return fmt.Errorf("write journal entries %d to %d: %w", b.first, b.last, err)
	}
	if err := b.file.f.Sync(); err != nil {
		return fmt.Errorf("sync journal entries %d to %d: %w", b.first, b.last, err)
	}
	s.metrics.wrote(len(p), b.appends, int(b.last-b.first)+1, s.clock().Sub(started))
	return nil
}
