package wal

import (
	"errors"
	"fmt"
	"syscall"
)

// Room is what the journals' disk has room for.
type Room struct {
	Free, Total int64  // bytes
	Files       int64  // that can still be made, or be used again
	Low         bool   // these are few: producers are slowed down
	Full        string // why no further file can be made; "": it can
}

// lowFiles is how few files there must be room for before producers are slowed down: they
// are throttled before the last byte is written, and uploads make room meanwhile.
const lowFiles = 4

// mostShort is the pressure of a disk that has room for no further file: the present one
// may still take something.
const mostShort = 0.9

// Room looks at the disk.
func (s *Store) Room() (r Room) {
	r.Free, r.Total, _ = s.Space()
	r.Files = s.files(r.Free)
	r.Low = r.Total > 0 && r.Files < lowFiles
	if why := s.full.Load(); why != nil {
		r.Full = *why
	}
	return r
}

// files is how many files can be had with that much of the disk free: new ones, spares,
// and those that only cache what the bucket has.
func (s *Store) files(free int64) int64 {
	n := max(0, free-s.cfg.ReserveBytes) / s.cfg.FileBytes
	s.mu.Lock()
	defer s.mu.Unlock()
	n += int64(len(s.mu.spares))
	for _, j := range s.mu.journals {
		for _, f := range j.files {
			if f.trimmed {
				n++
			}
		}
	}
	return n
}

// squeeze notes how short of room the disk is, for Pressure, which is asked too often to
// look itself.
func (s *Store) squeeze() {
	free, total, err := s.Space()
	if err != nil || total == 0 {
		return
	}
	s.lacks.Store(max(0, lowFiles-s.files(free)))
}

// noteFull keeps why no file can be made, and logs when that begins or ends.
func (s *Store) noteFull(err error) {
	was := s.full.Load()
	if err == nil {
		if s.full.Store(nil); was != nil {
			s.log.Info("disk has space for journal files again")
		}
		return
	}
	why := err.Error()
	if s.full.Store(&why); was == nil {
		s.log.Error("disk full: producers are refused when the current journal file is full", "why", why)
	}
}

// fullError is a disk that has no room for another file.
type fullError struct{ free, reserve int64 }

func (e *fullError) Error() string {
	return fmt.Sprintf("disk full: producers are refused until there is space (%d MB free, %d MB kept by journal.reserve_bytes)", e.free/1e6, e.reserve/1e6)
}

// isFull reports that an error is the disk's lack of room, not the budget's.
func isFull(err error) bool {
	var full *fullError
	return errors.As(err, &full) || errors.Is(err, syscall.ENOSPC)
}
