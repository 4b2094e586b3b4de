package metadata

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	"varve/internal/vfs"
)

// Seen remembers on disk how far etcd had got. An etcd that is behind was restored
// from an older state: what it lacks proves nothing, and nothing is forgotten.
type Seen struct {
	fs  vfs.FS
	dir string

	one chan struct{} // holds a token while max is written: a lock would be held over I/O
	max atomic.Int64  // the newest revision that is on disk
}

// ErrOlder reports that etcd is at a lower revision than one that was read from it before.
var ErrOlder = errors.New("etcd is older than it was")

const seenFile = "etcd-revision"

// OpenSeen reads what an earlier run noted in a directory.
func OpenSeen(fs vfs.FS, dir string) (*Seen, error) {
	s := &Seen{fs: fs, dir: dir, one: make(chan struct{}, 1)}
	b, err := vfs.ReadFile(fs, dir+"/"+seenFile, 64)
	if errors.Is(err, vfs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the newest revision of etcd that was seen: %w", err)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", dir, seenFile, err)
	}
	s.max.Store(n)
	return s, nil
}

// Newest returns the revision that an answer of etcd to a question that begins now can't
// be behind. Answers to several that are under way at once come in any order.
func (s *Seen) Newest() Revision { return Revision(s.max.Load()) }

// Check stores a revision that was read. It returns ErrOlder if the revision is below before,
// which Newest returned before the question. Any other error says that it could not be stored.
func (s *Seen) Check(before, rev Revision) error {
	if rev < before {
		return fmt.Errorf("%w: at revision %d, this agent has seen %d: was it restored from an older state? Nothing was changed; docs/operations.md says how to go on (--accept-older-etcd)", ErrOlder, rev, before)
	}
	s.one <- struct{}{}
	defer func() { <-s.one }()
	if rev <= s.Newest() {
		return nil
	}
	return s.note(rev)
}

// Accept stores rev as the newest revision, though etcd may have been further before. Nothing
// else may use s meanwhile.
func (s *Seen) Accept(rev Revision) error { return s.note(rev) }

// note stores rev as the newest revision that was seen. The caller holds the token, or is
// the only user of s.
func (s *Seen) note(rev Revision) error {
	if err := vfs.WriteFile(s.fs, s.dir, seenFile, strconv.AppendInt(nil, int64(rev), 10)); err != nil {
		return fmt.Errorf("note that etcd has got to revision %d: %w", rev, err)
	}
	s.max.Store(int64(rev))
	return nil
}

// Confirm is Check for an agent that runs: it calls fatal if etcd lost something, and logs
// that a revision can't be stored.
func (s *Seen) Confirm(before, rev Revision, log *slog.Logger, fatal func(error)) error {
	err := s.Check(before, rev)
	if errors.Is(err, ErrOlder) {
		fatal(err)
	} else if err != nil {
		log.Warn("cannot persist the last seen etcd revision", "err", err)
	}
	return err
}
