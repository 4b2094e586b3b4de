package wal

import (
	"fmt"
)

// writeIndexes stores the index of every full file that has none yet.
func (s *Store) writeIndexes() {
	s.mu.Lock()
	var held []*journal
	for _, h := range s.mu.journals {
		held = append(held, h)
	}
	s.mu.Unlock()
	for _, h := range held {
		h.indexing <- struct{}{}
		for _, f := range s.unindexed(h) {
			s.index(f)
		}
		<-h.indexing
	}
}

// index stores the index of one file; the journal's indexing is held.
func (s *Store) index(f *file) {
	s.mu.Lock()
	dirs := f.dirs
	s.mu.Unlock()
	if err := writeIndex(s.disk, f, dirs); err != nil {
		s.log.Warn("index of a journal file not written, the next start will read the file", "file", f.path, "err", err)
		return
	}
	s.mu.Lock()
	f.indexed, f.dirs = true, nil
	s.mu.Unlock()
}

func (s *Store) unindexed(h *journal) (files []*file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range h.files {
		if f.complete && !f.indexed && !f.trimmed && f.last == f.final && len(f.dirs) > 0 {
			files = append(files, f)
		}
	}
	return files
}

// unindex takes a file's index back, durably, since more will be written to the
// file; the journal's indexing is held.
func (s *Store) unindex(f *file) error {
	s.mu.Lock()
	indexed := f.indexed
	s.mu.Unlock()
	var dirs []byte
	if indexed {
		var err error
		if dirs, err = readIndex(s.disk, f); err != nil {
			return fmt.Errorf("read index to go on with %s: %w", f.path, err)
		}
	}
	// There may be one that no one trusted.
	if err := s.disk.fs.Remove(s.disk.path(indexName(f))); err == nil {
		if err := s.disk.fs.SyncDir(s.disk.dir); err != nil {
			return err
		}
	} else if indexed {
		return fmt.Errorf("remove index to go on with %s: %w", f.path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.complete, f.trimmed = false, false
	if indexed {
		f.indexed, f.dirs = false, dirs
	}
	return nil
}
