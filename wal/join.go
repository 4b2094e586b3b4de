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
// or elsewhere. It must come before the journal is made known. To join again is no
// error while the journal is open; after a fence it returns ErrFenced.
func (s *Store) Join(j id.Journal, as Membership) error {
	if n := as.FileBytes; n < smallestFile || n > MaxFileBytes || n%blockBytes != 0 {
		return fmt.Errorf("join journal %v: files of %d bytes: must be a multiple of %d from %d to %d", j, n, blockBytes, smallestFile, MaxFileBytes)
	}
	if err := s.disk.intact(); err != nil {
		return err
	}
	s.journals.mu.Lock()
	h := s.journals.enter(j)
	s.journals.mu.Unlock()
	return h.join(meta{version: metaVersion, fence: as.Fence, fileBytes: uint32(as.FileBytes), prev: as.Prev})
}

// smallestFile is what a file must have room for: its header and an entry.
const smallestFile = 2 * blockBytes

func (h *journal) join(m meta) error {
	h.gate.lock()
	defer h.gate.unlock()
	if err := h.damageErr(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if was := h.stored(); was.version != 0 {
		return joinAgain(h.id, was, m)
	}
	return h.setMeta(m)
}

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

// Joined is what the store keeps of a journal from the start, its highest fence so
// far among it.
func (s *Store) Joined(j id.Journal) (Membership, error) {
	h, err := s.journals.member(j)
	if err != nil {
		return Membership{}, err
	}
	m := h.stored()
	return Membership{h.fileBytes(), m.fence, m.prev}, nil
}

// FileBytes is the size of the files that this store's own journals get.
func (s *Store) FileBytes() int64 { return s.cfg.FileBytes }
