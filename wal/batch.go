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
func (jw *journalWriter) run() {
	w := jw.w
	defer w.disks.Done()
	for {
		b, ok, over := jw.next()
		switch {
		case ok:
			if !jw.store(b) {
				return
			}
			continue
		case over:
			return
		}
		select {
		case <-jw.wake:
			continue
		case <-w.stop:
			if b, ok, _ = jw.next(); !ok {
				return
			}
			if !jw.store(b) {
				return
			}
		}
	}
}

// next returns what is to be written, closing the open entry if nothing else waits.
// over reports that nothing ever will be.
func (jw *journalWriter) next() (b batch, ok, over bool) {
	jw.w.mu.Lock()
	defer jw.w.mu.Unlock()
	if jw.w.mu.failed {
		return b, false, true
	}
	if jw.stored >= jw.closed && jw.open != nil {
		jw.closeEntry()
	}
	if jw.stored >= jw.closed {
		return b, false, jw.left
	}
	e := jw.nth(jw.stored + 1)
	b = batch{file: e.file, chunk: e.chunk, from: e.from, at: e.header.pos.off(), first: e.number}
	b.add(e)
	for b.last < jw.closed {
		e := jw.nth(b.last + 1)
		if e.chunk != b.chunk || e.from != b.until {
			break
		}
		b.add(e)
	}
	b.chunk.pending.Add(1)
	return b, true, false
}

func (b *batch) add(e *entry) {
	b.until, b.last = e.end(), e.number
	b.appends += len(e.owners)
}

// store writes a batch and makes it durable; false ends the goroutine.
func (jw *journalWriter) store(b batch) bool {
	w := jw.w
	err := jw.write(&b)
	w.mu.Lock()
	if b.chunk.pending.Add(-1) == 0 {
		w.freedLocked()
	}
	dropped, beyond := jw.left && errors.Is(err, ErrUnknown), jw.left && b.last > jw.closed
	switch {
	case err == nil:
		jw.wrote(&b)
	case dropped: // no one needs what isn't on this disk: its memory is free
		jw.stored = jw.closed
		jw.settle()
	}
	w.mu.Unlock()
	switch {
	case err == nil:
	case dropped:
		return false
	case beyond && errors.Is(err, ErrClosed): // sealed meanwhile: take what counts again
		return true
	case errors.Is(err, ErrFenced), errors.Is(err, ErrClosed), errors.Is(err, ErrUnknown):
		w.Abort(err)
		return false
	default:
		w.Abort(err)
		w.store.disk.fail(w.Err())
		return false
	}
	if jw.rep != nil {
		jw.rep.Durable(b.last)
		return true
	}
	w.notify.Set()
	return true
}

// wrote notes what is durable; the writer's lock is held.
func (jw *journalWriter) wrote(b *batch) {
	jw.stored = max(jw.stored, b.last)
	jw.held.wrote(jw.w, jw.stored, makePos(b.file.num, b.at+b.until-b.from))
	if jw.rep == nil && !jw.frozen {
		jw.bound = jw.stored
	}
	jw.settle()
}

func (jw *journalWriter) write(b *batch) error {
	s := jw.w.store
	jw.held.gate.lock()
	defer jw.held.gate.unlock()
	if err := jw.held.admit(0, b.first); err != nil {
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
