package wal

import (
	"fmt"

	"varve/internal/id"
)

// Join makes this store a durable member of a journal that is to be written,
// here or elsewhere, in files of fileBytes each. It must come before the journal is
// made known. An epoch over 0 joins for copies only, fenced from the start. To join
// again what is open and took part already is no error; after a fence it is
// ErrFenced.
func (s *Store) Join(j id.Journal, fileBytes int64, epoch uint64) error {
	if fileBytes < s.smallestFile() || fileBytes > MaxFileBytes || fileBytes%blockBytes != 0 {
		return fmt.Errorf("join journal %v: files of %d bytes: must be a multiple of %d from %d to %d", j, fileBytes, blockBytes, s.smallestFile(), MaxFileBytes)
	}
	m := meta{version: metaVersion, fence: epoch, fileBytes: uint32(fileBytes)}
	s.mu.Lock()
	h := s.held(j)
	s.mu.Unlock()
	h.gate <- struct{}{}
	defer func() { <-h.gate }()
	if was := s.metaOf(h); was.version != 0 {
		return joinAgain(j, was, m)
	}
	err := s.storeMeta(j, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	h.meta = m
	return nil
}

// smallestFile is what a file must have room for: its header and an entry.
func (s *Store) smallestFile() int64 { return 2 * blockBytes }

func joinAgain(j id.Journal, was, m meta) error {
	switch {
	case was.sealed:
		return fmt.Errorf("join journal %v: it ends at %d: %w", j, was.end, ErrClosed)
	case was.fence > m.fence:
		return fmt.Errorf("join journal %v: fenced at %d: %w", j, was.fence, ErrFenced)
	case was.fence < m.fence:
		return fmt.Errorf("join journal %v for copies at %d: it is a member; fence it instead", j, m.fence)
	case was.fileBytes != m.fileBytes:
		return fmt.Errorf("join journal %v: its files have %d bytes, not %d", j, was.fileBytes, m.fileBytes)
	}
	return nil
}

// member gives what is held of a journal that was joined, or ErrUnknown.
func (s *Store) member(j id.Journal) (*journal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mu.journals[j]
	if h == nil || h.meta.version == 0 {
		return nil, fmt.Errorf("journal %v: %w", j, ErrUnknown)
	}
	return h, nil
}

// fileBytes is the size of a journal's files.
func (s *Store) fileBytes(h *journal) int64 {
	if n := s.metaOf(h).fileBytes; n != 0 {
		return int64(n)
	}
	return s.cfg.FileBytes
}

// FileBytes is the size of the files that this store's own journals get.
func (s *Store) FileBytes() int64 { return s.cfg.FileBytes }
