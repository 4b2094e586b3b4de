package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// Spares are emptied files that wait to become a journal's again. A new file has to be
// zeroed first, which costs as much of the disk as the records that it takes; so enough
// of them are kept for the next burst. They have no format: what they hold is void.

// fewSpares is how many are kept on a disk that is short, so that each file that is
// trimmed makes room for the next.
const fewSpares = 2

const spareName = "spare-"

func (s *Store) spareCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.spares)
}

// short reports whether hardly more of the disk is free than what has to stay free.
func (s *Store) short() bool {
	free, _, err := s.disk.space()
	return err == nil && free < s.cfg.ReserveBytes+2*s.cfg.FileBytes
}

// keepsSpare reports whether a file of that size, which no one needs, becomes a spare.
func (s *Store) keepsSpare(size int64) bool {
	n := s.spareCount()
	return size == s.cfg.FileBytes && (n < fewSpares || int64(n+1)*size <= s.cfg.SpareBytes && !s.short())
}

// makeSpare makes a spare of the file at path.
func (s *Store) makeSpare(path string) error {
	s.mu.Lock()
	s.mu.spareSeq++
	to := s.disk.path(fmt.Sprint(spareName, s.mu.spareSeq))
	s.mu.Unlock()
	if err := s.disk.fs.Rename(path, to); err != nil {
		return err
	}
	s.addSpare(to)
	return s.disk.fs.SyncDir(s.disk.dir)
}

func (s *Store) addSpare(path string) {
	s.mu.Lock()
	s.mu.spares = append(s.mu.spares, path)
	s.mu.Unlock()
}

// takeSpare returns the path of a spare for a file of that size; "" if there is none.
func (s *Store) takeSpare(size int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.spares)
	if n == 0 || size != s.cfg.FileBytes {
		return ""
	}
	p := s.mu.spares[n-1]
	s.mu.spares = s.mu.spares[:n-1]
	return p
}

// dropSpares removes spares while the disk is short.
func (s *Store) dropSpares() {
	for s.spareCount() > fewSpares && s.short() {
		path := s.takeSpare(s.cfg.FileBytes)
		if err := s.disk.fs.Remove(path); err != nil {
			s.log.Warn("spare journal file not removed, retrying", "file", path, "err", err)
			s.addSpare(path)
			return
		}
	}
}

// spareNumber is the number in a spare's name; 0: none.
func spareNumber(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, spareName))
	return n
}
