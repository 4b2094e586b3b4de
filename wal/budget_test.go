package wal

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/vfs"
)

// shortDisk returns a journal on a disk whose capacity a test sets, which keeps room for one
// file free, and the log.
func shortDisk(t *testing.T) (*vfs.Memory, *Store, *Writer, *strings.Builder) {
	t.Helper()
	cfg := small()
	cfg.ReserveBytes = cfg.FileBytes
	disk, said := vfs.NewMemory(), new(strings.Builder)
	s, err := Open(cfg, Options{FS: disk, Log: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := createJournal(t, s, 1)
	synctest.Wait()
	return disk, s, w, said
}

// TestRoom: producers are throttled before the disk is full. A full disk is logged once, however
// many appends are refused. Both end when there is room again.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, s, w, said := shortDisk(t)
		cfg := s.cfg
		if r := s.Room(); r.Low || r.Full != "" || s.Pressure() != 0 {
			t.Fatalf("%+v, pressure %v", r, s.Pressure())
		}
		used := func() int64 {
			disk.Capacity = 1 << 40
			free, _, _ := disk.Space("j")
			return 1<<40 - free
		}
		disk.Capacity = used() + cfg.ReserveBytes + 2*cfg.FileBytes
		s.budget.look(s.journals.trimmed())
		if r := s.Room(); !r.Low || r.Full != "" || r.Files != 2 || s.Pressure() != mostShort/2 {
			t.Errorf("with room for two files: %+v, pressure %v", r, s.Pressure())
		}
		o, refused := newOutcome(), 0
		for n := range int64(1000) {
			if err := o.add(t, w, n, 8000); errors.Is(err, ErrFull) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		o.n.Wait()
		r := s.Room()
		if refused < 100 || !strings.HasPrefix(r.Full, "disk full: producers are refused until there is space (") {
			t.Errorf("%d refused, %+v", refused, r)
		}
		if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors in the log:\n%s", n, said)
		}
		disk.Capacity = 1 << 40
		for s.Room().Full != "" {
			room := w.Room()
			if err := w.Wait(t.Context(), room); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if r := s.Room(); r.Low || s.Pressure() != 0 || o.add(t, w, 1000, 8000) != nil {
			t.Errorf("with room again: %+v, pressure %v", r, s.Pressure())
		}
		w.Close()
		s.Close()
	})
}

// TestFullWithoutBudget: a full disk is still reported when the budget is used up as well.
func TestFullWithoutBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, s, w, said := shortDisk(t)
		disk.Capacity = 1
		s.janitor.work.Set() // the janitor sees it
		synctest.Wait()
		o := newOutcome()
		for n := range int64(1000) {
			if err := o.add(t, w, n, 8000); err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		o.n.Wait()
		full := s.Room().Full
		s.budget.weight.Store(s.cfg.HardBytes) // the budget is used up as well
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		if r := s.Room(); full == "" || r.Full != full || strings.Contains(said.String(), "has space") {
			t.Errorf("the disk was full (%q), and is said to be %q:\n%s", full, r.Full, said)
		}
		disk.Capacity = 1 << 40
		s.janitor.work.Set() // the janitor sees it
		synctest.Wait()
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		if r := s.Room(); r.Full != "" {
			t.Errorf("the disk has room, only the budget has none: %q", r.Full)
		}
		w.Close()
		s.Close()
	})
}
