package wal

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
)

// Prepare makes ready the journal that may be the next, so that Switch can't fail
// for want of a file. It was joined, and never used.
func (w *Writer) Prepare(next id.Journal, rep Replication) error {
	jw, err := w.newJournalWriter(next, rep)
	if err != nil {
		return fmt.Errorf("prepare journal %v: %w", next, err)
	}
	w.mu.Lock()
	w.mu.prepared = jw
	w.mu.Unlock()
	return nil
}

// Freeze ends committing: end is the commit index, and stays it for good. Appends go on;
// Switch takes them to the next journal. If the journal can't be sealed there, only Abort
// is left: whether it ends here isn't for the writer to say any more.
func (w *Writer) Freeze() (end uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.current.frozen = true
	return w.mu.current.bound
}

// Switch moves on to the prepared journal, after the old one was sealed at what
// Freeze returned. What is beyond that is appended again to the new one, in order;
// its owners hear once, of the new journal. Appends are busy meanwhile. It returns
// when all is in place; an error ends the writer.
func (w *Writer) Switch(ctx context.Context) error {
	if err := w.awaitTold(ctx); err != nil {
		w.Abort(err)
		return fmt.Errorf("switch journal: %w", err)
	}
	old, err := w.turn()
	if err != nil {
		w.Abort(err)
		return fmt.Errorf("switch journal: %w", err)
	}
	old.files.end()
	err = w.carryOver(ctx)
	w.mu.Lock()
	w.mu.switching = false
	w.freedLocked()
	w.mu.Unlock()
	if err != nil {
		w.Abort(err)
		return fmt.Errorf("append again to journal %v: %w", w.ID(), err)
	}
	return nil
}

// awaitTold waits until the owners know of all that is committed.
func (w *Writer) awaitTold(ctx context.Context) error {
	for {
		w.mu.Lock()
		jw, room, err := w.mu.current, w.room, w.mu.err
		done := jw.notified == jw.bound
		ready := jw.frozen && w.mu.prepared != nil
		w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case !ready:
			return fmt.Errorf("journal %v is not frozen, or no next one prepared", jw.id)
		case done:
			return nil
		}
		if err := w.Wait(ctx, room); err != nil {
			return err
		}
	}
}

// turn makes the prepared journal the one that takes the appends, and takes out of
// the old what was not committed there.
func (w *Writer) turn() (old *journalWriter, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.err != nil {
		return nil, w.mu.err
	}
	old, next := w.mu.current, w.mu.prepared
	end := old.notified
	keep := len(old.line)
	for keep > 0 && old.line[keep-1].number > end {
		keep--
	}
	w.mu.carry = append(w.mu.carry, old.line[keep:]...)
	clear(old.line[keep:])
	old.line = old.line[:keep]
	if old.open != nil {
		w.mu.carry = append(w.mu.carry, old.open)
		old.open = nil
	}
	old.finishChunk()
	old.left, old.closed = true, end
	old.held.complete(w, old.file, end)
	old.wake.Set()
	w.mu.current, w.mu.prepared, w.mu.switching = next, nil, true
	w.committed.Store(0)
	w.begin(next)
	return old, nil
}

// carryOver appends to the new journal what the old one had beyond its end.
func (w *Writer) carryOver(ctx context.Context) error {
	for {
		w.mu.Lock()
		room, err := w.room, w.mu.err
		again := false
		if err == nil {
			again, err = w.carryOne()
		}
		w.mu.Unlock()
		if err == nil && !again {
			return nil
		}
		if err == nil {
			continue
		}
		if !IsBusy(err) && !errors.Is(err, ErrFull) {
			return err
		}
		if err := w.Wait(ctx, room); err != nil {
			return err
		}
	}
}

// carryOne carries one entry's appends over; again reports whether there may be more.
func (w *Writer) carryOne() (again bool, err error) {
	if len(w.mu.carry) == 0 {
		return false, nil
	}
	e := w.mu.carry[0]
	for len(e.owners) > 0 {
		var rec Record
		rec.parse(e.dir)
		o := e.owners[0]
		body := e.bytes()[rec.BodyAt : rec.BodyAt+rec.Size]
		if err := w.mu.current.add(&rec, body, o.owner); err != nil {
			return false, err
		}
		e.owners, e.dir = e.owners[1:], e.dir[RecordBytes:]
	}
	w.mu.carry = w.mu.carry[1:]
	e.chunk.pending.Add(-1)
	return true, nil
}
