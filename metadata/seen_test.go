package metadata

import (
	"errors"
	"strings"
	"testing"

	"varve/internal/vfs"
)

// fillable is a disk that may have no room for how far etcd has got.
func fillable(full *bool) *vfs.Memory {
	disk := vfs.NewMemory()
	disk.Fault = func(op, name string) error {
		if *full && strings.Contains(name, seenFile) {
			return errors.New("no space left")
		}
		return nil
	}
	return disk
}

// TestSeen: what etcd answers is older than it was only if something newer was known
// before the question: answers to questions that are under way at once come in any order.
func TestSeen(t *testing.T) {
	full := false
	disk := fillable(&full)
	if err := disk.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	open := func() *Seen {
		s, err := OpenSeen(disk, "d")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	one, other := s.Newest(), s.Newest()
	if err := errors.Join(s.Check(one, 10), s.Check(other, 9)); err != nil {
		t.Errorf("two at once: %v", err)
	}
	if err := s.Check(s.Newest(), 9); !errors.Is(err, ErrOlder) {
		t.Errorf("an older etcd: %v", err)
	}
	full = true
	if err := s.Check(s.Newest(), 20); err == nil || errors.Is(err, ErrOlder) {
		t.Errorf("a full disk: %v", err)
	}
	if err := s.Check(s.Newest(), 20); err == nil {
		t.Error("noted though the disk is full")
	}
	full = false
	if err := s.Check(s.Newest(), 20); err != nil {
		t.Error(err)
	}
	if s = open(); s.Newest() != 20 {
		t.Errorf("after a restart it is %d", s.Newest())
	}
}
