package wal

import (
	"cmp"
	"fmt"
	"slices"

	"varve/internal/id"
)

// View returns n committed bytes from pos on in place: from the tail cache, or from
// what is read for lagging readers, if that is worth while.
func (s *Store) View(j id.Journal, pos Pos, n int) (View, bool) {
	v, ok := s.cache.view(j, pos, n)
	from := "memory"
	if !ok {
		v, ok = s.behind.view(j, pos, n, n)
		from = "readahead"
	}
	if ok {
		s.metrics.readBytes.WithLabelValues(from).Add(float64(n))
	}
	return v, ok
}

// ReadAt fills p with committed bytes from pos on, from memory or from disk.
// It fails with ErrGone if they were trimmed and recycled, or never were here: what stands in
// a file after the last entry are zeroes, or what was there before the file was the
// journal's.
func (s *Store) ReadAt(j id.Journal, p []byte, pos Pos) error {
	if s.cache.read(j, p, pos) {
		s.metrics.readBytes.WithLabelValues("memory").Add(float64(len(p)))
		return nil
	}
	if s.behind.copy(j, p, pos) {
		s.metrics.readBytes.WithLabelValues("readahead").Add(float64(len(p)))
		return nil
	}
	f := s.file(j, pos.file())
	if f == nil || s.beyond(j, pos+Pos(len(p))) {
		return fmt.Errorf("journal %v at %v: %w", j, pos, ErrGone)
	}
	if err := f.readAt(p, pos.off()); err != nil {
		return fmt.Errorf("journal %v at %v: %w", j, pos, err)
	}
	s.metrics.readBytes.WithLabelValues("disk").Add(float64(len(p)))
	return nil
}

// beyond reports whether a place is after the last entry on this disk, if that is known.
// An entry that is committed and not on this disk yet is in memory.
func (s *Store) beyond(j id.Journal, end Pos) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.mu.journals[j]
	return held != nil && held.known && end > held.tail
}

// Floor is the first place of a journal that is still there; below it ReadAt
// answers ErrGone.
func (s *Store) Floor(j id.Journal) Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.mu.journals[j]; held != nil && len(held.files) > 0 {
		return makePos(held.files[0].num, 0)
	}
	return ^Pos(0)
}

func (s *Store) file(j id.Journal, num uint32) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.mu.journals[j]
	if held == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(held.files, num, func(f *file, n uint32) int { return cmp.Compare(f.num, n) })
	if !ok {
		return nil
	}
	return held.files[i]
}

// Entries calls each with every entry of a journal that was recovered, or is followed
// or written here, in order, up to the end that was decided, or else the last that is
// there now. The Entry is reused between calls.
func (s *Store) Entries(j id.Journal, each func(*Entry) error) error {
	files, end, err := s.filesOf(j)
	if err != nil {
		return err
	}
	for _, f := range files {
		dirs, err := s.dirsOf(f)
		if err != nil {
			return err
		}
		err = eachEntry(dirs, func(e *Entry) error {
			if e.Number > end {
				return nil
			}
			return each(e)
		})
		if err != nil {
			return &CorruptError{f.path, 0, err}
		}
	}
	return nil
}

// dirsOf returns the directories of a file, from memory or its index.
func (s *Store) dirsOf(f *file) ([]byte, error) {
	s.mu.Lock()
	dirs, indexed := f.dirs, f.indexed
	s.mu.Unlock()
	if !indexed {
		return dirs, nil
	}
	return readIndex(s.disk, f)
}
