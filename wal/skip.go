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
	h, err := s.member(j)
	if err != nil {
		return 0, 0, err
	}
	for {
		s.mu.Lock()
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
		s.mu.Unlock()
		if f == nil {
			return from.first, from.at, nil
		}
		found, err := s.findFirst(f)
		if s.file(j, f.num) != f {
			continue // trimmed meanwhile
		}
		if err != nil {
			return 0, 0, err
		}
		return max(from.first, found), from.at, nil
	}
}

// findFirst looks up a file's first entry, 0 if there is none yet.
func (s *Store) findFirst(f *file) (number uint64, err error) {
	dirs, err := s.dirsOf(f)
	if err != nil {
		return 0, err
	}
	err = eachEntry(dirs, func(e *Entry) error {
		number = e.Number
		return errEnough
	})
	if err != nil && err != errEnough {
		return 0, &CorruptError{f.path, 0, err}
	}
	s.mu.Lock()
	f.first = number
	s.mu.Unlock()
	return number, nil
}

// Skip gives up all that this store holds of the journal, which must be below entry
// first, and goes on with that entry at a place, which must be a file's first. The
// caller knows that no one needs what is below: the one who wrote the journal, or
// is copied from, has trimmed it. The epoch is as for Append. When it returns, the
// store answers that it has everything below first, also after a crash; before, it
// answers what it held.
//
//  1. The floor is stored in the meta file, in one step: from there on files below
//     it don't count.
//  2. They are taken away by the janitor, also after a crash.
//  3. The file of the place is made as any next file is; Append waits for it.
func (f *Follower) Skip(ctx context.Context, first uint64, at Pos, epoch uint64) error {
	select {
	case f.held.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.held.gate }()
	if err := f.store.admit(f.id, f.held, epoch, first); err != nil {
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
	case at <= f.behind():
		return fmt.Errorf("skip in journal %v to entry %d at %v: the last one here, %d, ended at %v", f.id, first, at, f.written, f.behind())
	}
	return f.skip(to)
}

// behind is the place after what was synced; the gate is held.
func (f *Follower) behind() Pos {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	return f.held.tail
}

// skip does it; the gate is held.
func (f *Follower) skip(to floor) error {
	s, h := f.store, f.held
	h.indexing <- struct{}{}
	defer func() { <-h.indexing }()
	for _, x := range f.ahead(to.at) {
		if err := s.unindex(x); err != nil {
			return err
		}
	}
	err := s.changeMeta(f.id, h, func(m *meta) error {
		m.version, m.floor = metaVersion, to
		return nil
	})
	if err != nil {
		return fmt.Errorf("skip: %w", err)
	}
	f.files.end()
	f.files = &supply{store: s, journal: f.id, size: f.files.size, freed: f.files.freed}
	f.file, f.at, f.written = nil, to.at.off(), to.first-1
	s.mu.Lock()
	h.last, h.tail = to.first-1, to.at
	s.giveUp(h, to.at)
	s.recount()
	s.mu.Unlock()
	f.files.want(to.at.file())
	return nil
}

// ahead are files that are there from a place on: one that was made ahead, or what
// a crash left of entries whose predecessors were lost.
func (f *Follower) ahead(at Pos) (files []*file) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	for _, x := range f.held.files {
		if x.num >= at.file() {
			files = append(files, x)
		}
	}
	return files
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

// giveUp takes the files before a place out of a journal; the janitor takes them
// away. s.mu is held or not yet shared.
func (s *Store) giveUp(h *journal, at Pos) {
	var rest []*file
	for _, f := range h.files {
		if f.num < at.file() {
			s.mu.given = append(s.mu.given, f)
		} else {
			rest = append(rest, f)
		}
	}
	h.files = rest
}

// givenUp is the next file to be taken away.
func (s *Store) givenUp() *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.given)
	if n == 0 {
		return nil
	}
	f := s.mu.given[n-1]
	s.mu.given = s.mu.given[:n-1]
	return f
}
