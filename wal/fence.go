package wal

import (
	"fmt"

	"varve/internal/id"
	"varve/internal/mutate"
)

// Fence makes durable that epoch fenced the journal: no append and no copy from
// below it is taken any more, and what was under way is on disk and counted, or
// never will be. It returns the last entry that this store holds. A lower epoch than
// one before is ErrFenced; a journal that was never joined is ErrUnknown.
func (s *Store) Fence(j id.Journal, epoch uint64) (last uint64, err error) {
	h, err := s.journals.member(j)
	if err != nil {
		return 0, err
	}
	return h.fence(epoch)
}

func (h *journal) fence(epoch uint64) (last uint64, err error) {
	h.gate.lock()
	defer h.gate.unlock()
	if err := h.settleTail(); err != nil {
		return 0, err
	}
	err = h.changeMeta(func(m *meta) error {
		if epoch < m.fence {
			return fmt.Errorf("fence journal %v at %d, it is at %d: %w", h.id, epoch, m.fence, ErrFenced)
		}
		if !mutate.On(mutate.SkipFence) {
			m.fence = epoch
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := h.disown(); err != nil {
		return 0, err
	}
	return h.lastEntry(), nil
}

// disown takes a fenced journal from the writer in this process, which can't write
// it any more, so that it can be read and copied to as any other. The gate is held.
func (h *journal) disown() error {
	h.in.mu.Lock()
	w := h.writer
	if h.meta.fence == 0 {
		w = nil
	}
	if w != nil {
		h.writer, h.known = nil, false
	}
	h.in.mu.Unlock()
	if w == nil {
		return nil
	}
	if w.ID() == h.id {
		w.Abort(ErrFenced)
	}
	return h.recover()
}

// settleTail makes durable what was taken, or finds out what is there. The gate is
// held.
func (h *journal) settleTail() error {
	h.in.mu.Lock()
	known, f := h.known, h.follower
	h.in.mu.Unlock()
	switch {
	case f != nil:
		return f.sync()
	case !known:
		return h.recover()
	}
	return nil
}

// Last is the last entry that is durable here, with everything before it, and not
// beyond the end of a sealed journal. A sealed journal of which it is less than the
// end is not all here. It reads what recovery must, if no one did before.
func (s *Store) Last(j id.Journal) (uint64, error) { return s.Recover(j) }

// Seal makes durable where the journal ends; what is held beyond is forgotten.
// What is at or below the end may still be copied here.
func (s *Store) Seal(j id.Journal, end uint64) error {
	h, err := s.journals.member(j)
	if err != nil {
		return err
	}
	return h.seal(end)
}

func (h *journal) seal(end uint64) error {
	h.gate.lock()
	defer h.gate.unlock()
	return h.changeMeta(func(m *meta) error {
		if m.sealed && m.end != end {
			return fmt.Errorf("seal journal %v at %d, it ends at %d", h.id, end, m.end)
		}
		m.sealed, m.end = true, end
		return nil
	})
}

// admit reports whether entries up to last may be written by a writer of that epoch: 0 is
// the writer, others are recoverers. The gate is held.
func (h *journal) admit(epoch, last uint64) error {
	if err := h.in.disk.intact(); err != nil {
		return err
	}
	h.in.mu.Lock()
	m, dropped := h.meta, h.dropped
	h.in.mu.Unlock()
	if dropped {
		return errDropped(h.id)
	}
	if m.sealed && last > m.end {
		return fmt.Errorf("journal %v ends at %d: %w", h.id, m.end, ErrClosed)
	}
	if m.fence != epoch && !mutate.On(mutate.SkipFence) {
		return fmt.Errorf("journal %v is fenced at %d, this comes with %d: %w", h.id, m.fence, epoch, ErrFenced)
	}
	return nil
}
