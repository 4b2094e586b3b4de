package wal

import "varve/internal/id"

// View returns n committed bytes from pos on in place: from the tail cache, or from
// what is read for lagging readers, if that is worth while.
func (s *Store) View(j id.Journal, pos Pos, n int) (View, bool) { return s.reads.view(j, pos, n) }

// ReadAt fills p with committed bytes from pos on, from memory or from disk.
// It fails with ErrGone if they were trimmed and recycled, or never were here: what stands in
// a file after the last entry are zeroes, or what was there before the file was the
// journal's.
func (s *Store) ReadAt(j id.Journal, p []byte, pos Pos) error { return s.reads.readAt(j, p, pos) }

// Floor is the first place of a journal that is still there; below it ReadAt
// answers ErrGone.
func (s *Store) Floor(j id.Journal) Pos { return s.journals.floor(j) }

// Entries calls each with every entry of a journal that was recovered, or is followed
// or written here, in order, up to the end that was decided, or else the last that is
// there now. The Entry is reused between calls.
func (s *Store) Entries(j id.Journal, each func(*Entry) error) error {
	h, err := s.journals.member(j)
	if err != nil {
		return err
	}
	files, end := h.snapshot()
	for _, f := range files {
		dirs, err := s.journals.indexes.directories(f)
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
