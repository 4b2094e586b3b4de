package wal

import "varve/internal/id"

// Commit marks the entries of the journal up to number as committed: enough
// members have them on disk, with all before them. It never moves backwards, counts
// for nothing once the journal is frozen, and is ignored for another journal than
// that which takes the appends. Only for journals created with a Replication.
func (w *Writer) Commit(j id.Journal, number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	jw := w.mu.current
	if jw.id != j || jw.frozen || w.mu.failed {
		return
	}
	if number = min(number, jw.closed); number > jw.bound {
		jw.bound = number
		w.notify.Set()
	}
}

// notifier tells owners, in order, what became of their appends.
func (w *Writer) notifier() {
	defer w.done.Done()
	for {
		for w.notifyNext() {
		}
		select {
		case <-w.notify:
		case <-w.ended:
			for w.notifyNext() {
			}
			w.failRest()
			return
		case <-w.quit:
			for w.notifyNext() {
			}
			w.failRest()
			return
		}
	}
}

// notifyNext tells the owners of one entry. When there is none left it closes the
// open entry, since all before it is committed.
func (w *Writer) notifyNext() bool {
	w.mu.Lock()
	jw := w.mu.current
	if jw.notified >= jw.bound {
		if jw.rep != nil && jw.open != nil && jw.notified == jw.closed && !jw.frozen && !w.mu.failed {
			jw.closeEntry()
			jw.wake.Set()
		}
		w.mu.Unlock()
		return false
	}
	e := jw.nth(jw.notified + 1)
	w.mu.Unlock()
	for i := range e.owners {
		o := &e.owners[i]
		o.owner.Committed(jw.id, e.header.pos+Pos(o.at), e.number)
	}
	w.mu.Lock()
	jw.notified = e.number
	w.committed.Store(jw.notified) // last: a caller that sees the number can rely on the owners knowing
	jw.settle()
	if jw.frozen && jw.notified == jw.bound {
		w.freedLocked() // Switch waits for this
	}
	w.mu.Unlock()
	return true
}

// failRest tells the owners of all that was not committed.
func (w *Writer) failRest() {
	w.mu.Lock()
	jw := w.mu.current
	var rest []*entry
	for _, e := range jw.line {
		if e.number > jw.notified {
			rest = append(rest, e)
		}
	}
	jw.line = nil
	rest = append(rest, w.mu.carry...)
	w.mu.carry = nil
	if jw.open != nil {
		rest = append(rest, jw.open)
		jw.open = nil
	}
	if w.mu.err == nil {
		w.mu.err = ErrClosed
	}
	w.mu.failed = true
	err := w.mu.err
	w.mu.Unlock()
	for _, e := range rest {
		e.fail(err)
	}
}
