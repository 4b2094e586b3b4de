package agent

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"varve/internal/vfs"
	"varve/metadata"
)

// seen remembers on disk how far etcd had got. An etcd that is behind was restored
// from an older state: what it lacks proves nothing, and nothing is forgotten.
type seen struct {
	fs  vfs.FS
	dir string

	one chan struct{} // holds a token while max is written: a lock would be held over I/O
	max atomic.Int64  // the newest revision that is on disk
}

// errOlder: etcd is at a lower revision than one that was read from it before.
var errOlder = errors.New("etcd is older than it was")

const seenFile = "etcd-revision"

// open reads what an earlier run noted.
func (s *seen) open(fs vfs.FS, dir string) error {
	s.fs, s.dir, s.one = fs, dir, make(chan struct{}, 1)
	b, err := vfs.ReadFile(fs, dir+"/"+seenFile, 64)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the newest revision of etcd that was seen: %w", err)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", dir, seenFile, err)
	}
	s.max.Store(n)
	return nil
}

// newest is what an answer of etcd to a question that begins now can't be behind.
// Answers to several that are under way at once come in any order.
func (s *seen) newest() metadata.Revision { return metadata.Revision(s.max.Load()) }

// check notes a revision that was read, durably, or answers errOlder: newest was more
// before the question. Any other error says that it could not be noted.
func (s *seen) check(before, rev metadata.Revision) error {
	if rev < before {
		return fmt.Errorf("%w: at revision %d, this agent has seen %d: was it restored from an older state? Nothing was changed; docs/operations.md says how to go on (--accept-older-etcd)", errOlder, rev, before)
	}
	s.one <- struct{}{}
	defer func() { <-s.one }()
	if rev <= s.newest() {
		return nil
	}
	return s.note(rev)
}

// note stores rev as the newest revision that was seen. The caller holds the token, or is
// the only user of s so far.
func (s *seen) note(rev metadata.Revision) error {
	if err := vfs.WriteFile(s.fs, s.dir, seenFile, strconv.AppendInt(nil, int64(rev), 10)); err != nil {
		return fmt.Errorf("note that etcd has got to revision %d: %w", rev, err)
	}
	s.max.Store(int64(rev))
	return nil
}

// checkSeen is check, and ends this agent if etcd lost something.
func (a *Agent) checkSeen(before, rev metadata.Revision) error {
	err := a.seen.check(before, rev)
	if errors.Is(err, errOlder) {
		a.die(err)
	} else if err != nil {
		a.log.Warn("cannot persist the last seen etcd revision", "err", err)
	}
	return err
}
