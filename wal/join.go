package wal

import (
	"fmt"

	"varve/internal/id"
)

// Membership is what a member keeps of a journal from the start.
type Membership struct {
	// FileBytes is the size of the journal's files, as its writer makes them.
	FileBytes int64
	// Fence over 0 joins for copies only, fenced from the start at that epoch.
	Fence uint64
	// Prev is the number of the same writer's journal that must be open for this one
	// to be opened; 0 if it is the first.
	Prev uint32
}

// Join makes this store a durable member of a journal that is to be written, here
// or elsewhere. It must come before the journal is made known. To join again what is
// open and took part already is no error; after a fence it is ErrFenced.
func (s *Store) Join(j id.Journal, as Membership) error {
	if n := as.FileBytes; n < s.smallestFile() || n > MaxFileBytes || n%blockBytes != 0 {
		return fmt.Errorf("join journal %v: files of %d bytes: must be a multiple of %d from %d to %d", j, n, blockBytes, s.smallestFile(), MaxFileBytes)
	}
	if err := s.disk.intact(); err != nil {
		return err
	}
	m := meta{version: metaVersion, fence: as.Fence, fileBytes: uint32(as.FileBytes), prev: as.Prev}
	s.mu.Lock()
	h := s.held(j)
	s.mu.Unlock()
	h.gate <- struct{}{}
	defer func() { <-h.gate }()
	if err := s.damageOf(h); err != nil {
		return fmt.Errorf("join: %w", err)
	}
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

// member returns what is held of a journal that was joined, or ErrUnknown. After a failed
// sync no one gets it.
func (s *Store) member(j id.Journal) (*journal, error) {
	if err := s.disk.intact(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mu.journals[j]
	if h != nil && h.meta.version == 0 && h.damaged != nil {
		return nil, h.damaged
	}
	if h == nil || h.meta.version == 0 {
		return nil, fmt.Errorf("journal %v: %w", j, ErrUnknown)
	}
	return h, nil
}

// damageOf is why nothing can be said of what is held of a journal.
func (s *Store) damageOf(h *journal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.damaged
}

// fileBytes is the size of a journal's files.
func (s *Store) fileBytes(h *journal) int64 {
	if n := s.metaOf(h).fileBytes; n != 0 {
		return int64(n)
	}
	return s.cfg.FileBytes
}

// Joined is what the store keeps of a journal from the start, its highest fence so
// far among it.
func (s *Store) Joined(j id.Journal) (Membership, error) {
	h, err := s.member(j)
	if err != nil {
		return Membership{}, err
	}
	m := s.metaOf(h)
	return Membership{s.fileBytes(h), m.fence, m.prev}, nil
}

// FileBytes is the size of the files that this store's own journals get.
func (s *Store) FileBytes() int64 { return s.cfg.FileBytes }
