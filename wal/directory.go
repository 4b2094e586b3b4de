package wal

import (
	"fmt"
	"slices"

	"varve/internal/id"
)

// maxDirectories bounds what Directories gives at a time, but for one entry.
const maxDirectories = 1 << 20

// Directories gives the directories of the entries behind number after, as many as
// a MiB holds, in the form that ParseDirectories reads; empty if there are none.
// The journal was recovered, or is followed or written here.
func (s *Store) Directories(j id.Journal, after uint64) ([]byte, error) {
	files, end, err := s.filesOf(j)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, f := range files {
		s.mu.Lock()
		skip := f.last <= after
		s.mu.Unlock()
		if skip {
			continue
		}
		dirs, err := s.dirsOf(f)
		if err != nil {
			return nil, err
		}
		err = eachDirectory(dirs, func(e *Entry, raw []byte) error {
			if e.Number <= after || e.Number > end {
				return nil
			}
			if len(out) > 0 && len(out)+len(raw) > maxDirectories {
				return errEnough
			}
			if len(out) == 0 {
				out = append(out, dirs[:indexHeadBytes]...)
			}
			out = append(out, raw...)
			return nil
		})
		if err == errEnough {
			return out, nil
		}
		if err != nil {
			return nil, &CorruptError{f.path, 0, err}
		}
	}
	return out, nil
}

var errEnough = fmt.Errorf("enough")

// ParseDirectories calls each with every entry of what Directories gave. The Entry
// is reused between calls. It trusts nothing.
func ParseDirectories(b []byte, each func(*Entry) error) error { return eachEntry(b, each) }

// filesOf gives a journal's files, and the last entry to be read from them: not
// beyond where it was decided to end, nor what is added from now on.
func (s *Store) filesOf(j id.Journal) (files []*file, end uint64, err error) {
	h, err := s.member(j)
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range h.files {
		end = max(end, f.last)
	}
	if h.meta.sealed {
		end = min(end, h.meta.end)
	}
	return slices.Clone(h.files), end, nil
}
