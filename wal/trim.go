package wal

import "varve/internal/id"

// Trim marks the journal's entries up to number as no longer needed: files
// that hold no others may be recycled when their room is wanted. The file of the last
// durable entry stays, so that its number is never forgotten.
func (s *Store) Trim(j id.Journal, number uint64) { s.journals.trim(j, ^Pos(0), number) }

// TrimBefore marks that of the journal's entries up to number nothing before pos is
// needed.
func (s *Store) TrimBefore(j id.Journal, pos Pos, number uint64) { s.journals.trim(j, pos, number) }

// Drop marks a whole sealed journal as no longer needed. What is on its way
// there is refused from now on.
func (s *Store) Drop(j id.Journal) {
	if h, err := s.journals.member(j); err == nil {
		h.drop()
	}
}

func (h *journal) drop() {
	h.gate.lock()
	defer h.gate.unlock()
	h.in.mu.Lock()
	f := h.follower
	if h.meta.sealed {
		h.dropped = true
		for _, f := range h.files {
			f.trimmed, f.complete = true, true
		}
	}
	dropped := h.dropped
	h.in.recount()
	h.in.mu.Unlock()
	if dropped && f != nil {
		f.files.end()
		f.files.freed() // wakes those that wait for a file, so that they learn of the end
	}
	h.in.work.Set()
}
