package wal

import (
	"context"
	"fmt"

	"varve/internal/id"
)

// floor is where a journal begins in a store: at an entry that is at the first
// place of a file. The zero floor is not set.
type floor struct {
	first uint64
	at    Pos
}

func (f floor) valid() bool { return f.first > 0 && f.at.off() == blockBytes }

// start is the floor, or the first entry that a journal has.
func (m meta) start() floor {
	if m.floor.first == 0 {
		return floor{1, First}
	}
	return m.floor
}

// First is the first entry that this store still has of a journal, or the next that
// it will have, and where it is: always the first place of a file. What is below
// was trimmed, here or where this store's copy was made from. The journal was
// recovered, or is followed or written here.
func (s *Store) First(j id.Journal) (number uint64, at Pos, err error) {
	h, err := s.journals.member(j)
	if err != nil {
		return 0, 0, err
	}
	from, err := h.first()
	return from.first, from.at, err
}

// first is Store.First.
func (h *journal) first() (floor, error) {
	for {
		h.in.mu.Lock()
		from := h.meta.start()
		var f *file
		if len(h.files) > 0 {
			f = h.files[0]
			from.first = max(from.first, h.passed+1, f.first)
			from.at = makePos(f.num, blockBytes)
			if f.first > 0 {
				f = nil // known
			}
		}
		h.in.mu.Unlock()
		if f == nil {
			return from, nil
		}
		found, err := h.in.indexes.first(f)
		if !h.has(f) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return floor{}, err
		}
		from.first = max(from.first, found)
		return from, nil
	}
}

// Skip gives up all that this store holds of the journal, which must be below entry
// first, and continues with that entry at a place, which must be a file's first. The
// caller knows that no one needs what is below: the journal's writer, or the store that is
// copied from, has trimmed it. The epoch is as for Append. When it returns, the
// store reports that it has everything below first, also after a crash; before, it
// reports what it held.
//
//  1. The floor is stored in the meta file, in one step: from there on files below
//     it don't count.
//  2. They are taken away by the recycler, also after a crash.
//  3. The file of the place is made as any next file is; Append waits for it.
func (f *Follower) Skip(ctx context.Context, first uint64, at Pos, epoch uint64) error {
	select {
	case f.held.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer f.held.gate.unlock()
	if err := f.held.admit(epoch, first); err != nil {
		return err
	}
	if err := f.sync(); err != nil {
		return err
	}
	if f.written+1 == first {
		return nil // nothing is between, or it was skipped before
	}
	to := floor{first, at}
	switch {
	case !to.valid():
		return fmt.Errorf("skip in journal %v to entry %d at %v: this begins no file", f.id, first, at)
	case f.written >= first:
		return fmt.Errorf("skip in journal %v to entry %d: this store has it, and up to %d", f.id, first, f.written)
	case at <= f.held.end():
		return fmt.Errorf("skip in journal %v to entry %d at %v: the last one here, %d, ended at %v", f.id, first, at, f.written, f.held.end())
	}
	return f.skip(to)
}

// skip does it; the gate is held.
func (f *Follower) skip(to floor) error {
	h := f.held
	h.indexing.lock()
	defer h.indexing.unlock()
	// One that was made ahead, or what a crash left of entries whose predecessors were lost.
	for _, x := range h.from(to.at.file()) {
		if err := h.in.indexes.takeBack(x); err != nil {
			return err
		}
	}
	err := h.changeMeta(func(m *meta) error {
		m.version, m.floor = metaVersion, to
		return nil
	})
	if err != nil {
		return fmt.Errorf("skip: %w", err)
	}
	f.files = f.files.again()
	f.file, f.at, f.written = nil, to.at.off(), to.first-1
	h.skipTo(to)
	f.files.want(to.at.file())
	return nil
}

// begin takes the file in which the entries go on after a skip.
func (f *Follower) begin() error {
	if f.file != nil {
		return nil
	}
	next := f.files.take()
	if next == nil {
		return f.files.why()
	}
	f.file = next
	f.files.want(next.num + 1)
	return nil
}

// skipTo notes that everything before a floor was given up.
func (h *journal) skipTo(to floor) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.last, h.tail = to.first-1, to.at
	h.giveUp(to.at)
	h.in.recount()
}
