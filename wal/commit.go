package wal

import "varve/internal/id"

// Commit marks the entries of the journal up to number as committed: enough
// members have them on disk, with all before them. It never moves backwards, counts
// for nothing once the journal is frozen, and is ignored for another journal than
// that which takes the appends. Only for journals created with a Replication.
func (w *Writer) Commit(j id.Journal, number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.mu.lane
	if l.id != j || l.frozen || w.mu.failed {
		return
	}
	if number = min(number, l.closed); number > l.bound {
		l.bound = number
		signal(w.tell)
	}
}

// teller tells owners, in order, what became of their appends.
func (w *Writer) teller() {
	defer w.done.Done()
	for {
		for w.tellNext() {
		}
		select {
		case <-w.tell:
		case <-w.ended:
			for w.tellNext() {
			}
			w.failRest()
			return
		case <-w.quit:
			for w.tellNext() {
			}
			w.failRest()
			return
		}
	}
}

// tellNext tells the owners of one entry. When there is none left it closes the
// open entry, since all before it is committed.
func (w *Writer) tellNext() bool {
	w.mu.Lock()
	l := w.mu.lane
	if l.told >= l.bound {
		if l.rep != nil && l.open != nil && l.told == l.closed && !l.frozen && !w.mu.failed {
			l.closeEntry()
			signal(l.wake)
		}
		w.mu.Unlock()
		return false
	}
	e := l.nth(l.told + 1)
	w.mu.Unlock()
	for i := range e.owners {
		o := &e.owners[i]
		o.owner.Committed(l.id, e.header.pos+Pos(o.at), e.number)
	}
	w.mu.Lock()
	l.told = e.number
	w.committed.Store(l.told) // last: a caller that sees the number can rely on the owners knowing
	l.settle()
	if l.frozen && l.told == l.bound {
		w.freedLocked() // Switch waits for this
	}
	w.mu.Unlock()
	return true
}

// failRest tells the owners of all that was not committed.
func (w *Writer) failRest() {
	w.mu.Lock()
	l := w.mu.lane
	var rest []*entry
	for _, e := range l.line {
		if e.number > l.told {
			rest = append(rest, e)
		}
	}
	l.line = nil
	rest = append(rest, w.mu.carry...)
	w.mu.carry = nil
	if l.open != nil {
		rest = append(rest, l.open)
		l.open = nil
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
