package agent

import (
	"errors"
	"fmt"
	"strconv"

	"varve/internal/vfs"
	"varve/metadata"
)

// seen remembers on disk how far etcd had got. An etcd that is behind was restored
// from an older state: what it lacks proves nothing, and nothing is forgotten.
type seen struct {
	fs  vfs.FS
	dir string

	one chan struct{} // holds a token while max is written: a lock would be held over I/O
	max metadata.Revision
}

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
	s.max = metadata.Revision(n)
	return nil
}

// check notes a revision that was read, durably, or says that etcd is older than it
// was.
func (s *seen) check(rev metadata.Revision) error {
	s.one <- struct{}{}
	defer func() { <-s.one }()
	if rev < s.max {
		return fmt.Errorf("etcd is at revision %d, this agent has seen %d: was it restored from an older state? Nothing was changed", rev, s.max)
	}
	if rev == s.max {
		return nil
	}
	s.max = rev
	return vfs.WriteFile(s.fs, s.dir, seenFile, strconv.AppendInt(nil, int64(rev), 10))
}
