package wal

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"varve/internal/id"
	"varve/internal/vfs"
)

// Trim marks the journal's entries up to number as no longer needed: files
// that hold no others may be recycled when their room is wanted. The file of the last
// durable entry stays, so that its number is never forgotten.
func (s *Store) Trim(j id.Journal, number uint64) { s.trim(j, ^Pos(0), number) }

// TrimBefore marks that of the journal's entries up to number nothing before pos is
// needed.
func (s *Store) TrimBefore(j id.Journal, pos Pos, number uint64) { s.trim(j, pos, number) }

func (s *Store) trim(j id.Journal, pos Pos, number uint64) {
	s.mu.Lock()
	if held := s.mu.journals[j]; held != nil && held.known {
		for _, f := range held.files {
			if f.complete && f.last == f.final && f.last <= number && f.num < min(pos, held.tail).file() {
				f.trimmed = true
			}
		}
	}
	s.recount()
	s.mu.Unlock()
	signal(s.work)
}

// recount tells the budget what the files count for; s.mu is held. It comes with every
// new file, so that the budget lacks at most what was appended to the open files since.
func (s *Store) recount() {
	var n, weight int64
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			if !f.trimmed {
				n += f.size
				weight += s.weightOf(f)
			}
		}
	}
	s.budget.count(n, weight)
}

// trimmedFiles returns how many files only cache what the bucket has.
func (s *Store) trimmedFiles() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			if f.trimmed {
				n++
			}
		}
	}
	return n
}

// recycle takes trimmed files, oldest first, while more is kept than should be. A file
// that fails is tried again next time. Until then its journal frees no other: without a
// file in the middle it would be damaged.
func (s *Store) recycle() {
	s.spares.shrink()
	s.mu.Lock()
	stuck := s.mu.stuck
	s.mu.stuck = nil
	s.mu.Unlock()
	for _, f := range stuck {
		s.recycleFile(f)
	}
	for {
		f := s.givenUp()
		if f == nil {
			f = s.oldestTrimmed()
		}
		if f == nil {
			break
		}
		s.recycleFile(f)
	}
	s.forgetEmpty()
}

// oldestTrimmed picks a file to recycle and takes it out of its journal.
func (s *Store) oldestTrimmed() *file {
	short := s.spares.short()
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept int64
	var oldest *file
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			if f.trimmed {
				kept += s.weightOf(f)
				if (oldest == nil || olderFile(f, oldest)) && !s.isStuck(f.journal) {
					oldest = f
				}
			}
		}
	}
	starved := slices.ContainsFunc(s.mu.wants, (*supply).failing)
	if oldest == nil || kept <= s.cfg.KeepBytes && !short && !starved {
		return nil
	}
	held := s.mu.journals[oldest.journal]
	held.passed = max(held.passed, oldest.final)
	held.files = slices.DeleteFunc(held.files, func(f *file) bool { return f == oldest })
	return oldest
}

func olderFile(a, b *file) bool {
	return cmp.Or(a.journal.Compare(b.journal), cmp.Compare(a.num, b.num)) < 0
}

// recycleFile makes a spare of a file, or removes it.
func (s *Store) recycleFile(f *file) {
	f.retire()
	f.close()
	err := s.removeFile(f)
	if err == nil || errors.Is(err, vfs.ErrNotExist) { // an earlier attempt got so far
		return
	}
	s.log.Warn("journal file not recycled, retrying", "file", f.path, "err", err)
	s.mu.Lock()
	s.mu.stuck = append(s.mu.stuck, f)
	s.mu.Unlock()
}

func (s *Store) removeFile(f *file) error {
	s.mu.Lock()
	indexed := f.indexed
	s.mu.Unlock()
	if err := s.disk.fs.Remove(strings.TrimSuffix(f.path, suffixFile) + suffixIndex); err != nil && indexed {
		s.log.Debug("index of a recycled journal file not removed", "err", err)
	}
	if s.spares.keeps(f.size) {
		return s.spares.put(f.path)
	}
	return s.disk.remove(f.path)
}

// isStuck reports whether a file of the journal could not be removed; s.mu is held.
func (s *Store) isStuck(j id.Journal) bool {
	return slices.ContainsFunc(s.mu.stuck, func(f *file) bool { return f.journal == j })
}

// Drop marks a whole sealed journal as no longer needed. What is on its way
// there is refused from now on.
func (s *Store) Drop(j id.Journal) {
	h, err := s.member(j)
	if err != nil {
		return
	}
	h.gate <- struct{}{}
	defer func() { <-h.gate }()
	s.mu.Lock()
	f := h.follower
	if h.meta.sealed {
		h.dropped = true
		for _, f := range h.files {
			f.trimmed, f.complete = true, true
		}
	}
	dropped := h.dropped
	s.recount()
	s.mu.Unlock()
	if dropped && f != nil {
		f.files.end()
		f.files.freed() // wakes those that wait for a file, so that they learn of the end
	}
	signal(s.work)
}

// forgetEmpty removes the meta files of dropped journals without files: a start refuses
// files that have none.
func (s *Store) forgetEmpty() {
	s.mu.Lock()
	empty := map[id.Journal][]string{}
	for j, held := range s.mu.journals {
		if held.dropped && len(held.files) == 0 && !s.isStuck(j) {
			empty[j] = held.bad
		}
	}
	s.mu.Unlock()
	for j, bad := range empty {
		if err := s.removeRest(j, bad); err != nil {
			s.log.Warn("files of a deleted journal not removed", "journal", j, "err", err)
			continue
		}
		s.mu.Lock()
		delete(s.mu.journals, j)
		s.mu.Unlock()
	}
}

// removeRest removes a journal's unreadable files, then its meta file.
func (s *Store) removeRest(j id.Journal, bad []string) error {
	for _, path := range bad {
		err := s.disk.remove(path)
		if err != nil && !errors.Is(err, vfs.ErrNotExist) {
			return err
		}
	}
	return s.removeMeta(j)
}
