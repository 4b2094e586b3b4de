package wal

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
)

// failing is a disk on which, once armed, one sync of a journal's first file fails. The next
// sync succeeds, as on Linux, which marks pages as clean that it could not write.
func failing() (disk *vfs.Memory, armed *atomic.Bool) {
	disk, armed = vfs.NewMemory(), new(atomic.Bool)
	disk.Fault = func(op, name string) error {
		if op == "sync" && strings.Contains(name, "1-1.00000000.wal") && armed.CompareAndSwap(true, false) {
			return syscall.EIO
		}
		return nil
	}
	return disk, armed
}

// silent checks that a store no longer answers any question about what it has.
func silent(t *testing.T, s *Store, j id.Journal) {
	t.Helper()
	if n, err := s.Fence(j, 7); err == nil {
		t.Errorf("a recoverer is told %d", n)
	}
	if n, err := s.Last(j); err == nil {
		t.Errorf("the last entry is said to be %d", n)
	}
	if _, err := s.Follow(j); err == nil {
		t.Error("the journal is followed again")
	}
	if err := s.Join(id.Journal{Writer: 2, Seq: 1}, Membership{FileBytes: s.FileBytes()}); err == nil {
		t.Error("another is joined")
	}
}

// TestFollowerAfterAFailedSync: a later sync does not acknowledge what a failed one may have lost.
func TestFollowerAfterAFailedSync(t *testing.T) {
	disk, armed := failing()
	p := newPairOn(t, disk)
	r := rand.New(rand.NewPCG(1, 2))
	p.write(r, 5)
	p.ship(r, p.w.Committed())
	before := p.sync()
	p.write(r, 3)
	c, err := p.writer.Cursor(p.w.ID(), before)
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.Next(p.w.Committed(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Release()
	if err := p.f.Append(t.Context(), bytes.Clone(run.Bytes), 0); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	for range 2 {
		if n, err := p.f.Sync(); err == nil || n != before {
			t.Errorf("durable up to %d, not %d: %v", n, before, err)
		}
		_ = p.f.Append(t.Context(), bytes.Clone(run.Bytes), 0) // sent again
	}
	silent(t, p.store, p.w.ID())
}

// TestRecoveryAfterAFailedSync: what is read back after a crash may be in the page cache only.
// If it can't be made durable, it doesn't count, however often recovery is asked for.
func TestRecoveryAfterAFailedSync(t *testing.T) {
	disk, armed := failing()
	s := openStore(t, small(), disk)
	w := createJournal(t, s, 1)
	o := newOutcome()
	for n := range int64(5) {
		if err := o.add(t, w, n, 1000); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	s.Close()
	s = openStore(t, small(), disk)
	defer s.Close()
	armed.Store(true)
	if n, err := s.Recover(w.ID()); err == nil {
		t.Errorf("recovered up to %d", n)
	}
	silent(t, s, w.ID())
}
