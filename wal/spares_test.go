package wal

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"varve/internal/vfs"
)

// fillFiles makes the writer fill more than that many files.
func fillFiles(t *testing.T, w *Writer, files int) {
	t.Helper()
	o := newOutcome()
	for n := range int64(files * 33) {
		for err := ErrFull; err != nil; {
			room := w.Room()
			if err = o.add(t, w, n, 8000); errors.Is(err, ErrFull) {
				if err := w.Wait(t.Context(), room); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	o.shown(w)
}

func sparesOn(disk *vfs.Memory) (n int) {
	for _, name := range disk.Names("") {
		if strings.HasPrefix(name, "j/"+spareName) {
			n++
		}
	}
	return n
}

// TestSparesAreKeptForABurst: a store keeps as many spares as allowed, finds them after a
// restart, and keeps few when the disk is short of space.
func TestSparesAreKeptForABurst(t *testing.T) {
	cfg := small()
	cfg.SpareBytes = 4 * cfg.FileBytes
	disk := vfs.NewMemory()
	empty := func(s *Store, files int) {
		for range files {
			f, err := disk.Open("j/emptied", vfs.Create)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if err := s.files.spares.put("j/emptied"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := openStore(t, cfg, disk)
	empty(s, 3)
	if !s.files.spares.keeps(cfg.FileBytes) || s.files.spares.keeps(cfg.FileBytes/2) {
		t.Error("with 3 of 4 spares: another file is not kept, or one of another size is")
	}
	s.Close()
	s = openStore(t, cfg, disk)
	s.files.spares.take(cfg.FileBytes)
	empty(s, 2)
	if on, in := sparesOn(disk), s.files.spares.count(); on != 5 || in != 4 { // the one taken still has its name
		t.Errorf("%d spares on disk, %d known", on, in)
	}
	if s.files.spares.keeps(cfg.FileBytes) {
		t.Error("with 4 of 4 spares another is kept")
	}
	s.Close()
	s = openStore(t, cfg, disk)
	disk.Capacity = 1 // all of it is taken
	s.janitor.recycler.run()
	if on, in := sparesOn(disk), s.files.spares.count(); on != fewSpares || in != fewSpares {
		t.Errorf("%d spares on a full disk, %d known", on, in)
	}
	s.Close()
}

// TestFileThatCannotBeRemovedKeepsItsJournal: the meta file stays while a file can't be
// removed, and no later file is removed first. A start refuses files without a meta file, and
// reports a journal that lacks a file in the middle as damaged.
func TestFileThatCannotBeRemovedKeepsItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		var broken atomic.Pointer[string] // the file that can't be removed
		disk.Fault = func(op, name string) error {
			if at := broken.Load(); at != nil && name == *at && (op == "remove" || op == "rename") {
				return errors.New("input/output error")
			}
			return nil
		}
		s := openStore(t, small(), disk)
		w := createJournal(t, s, 1)
		fillFiles(t, w, 3)
		files := disk.Names(suffixFile)
		broken.Store(&files[0])
		s.Trim(w.ID(), w.Committed()) // all but the last file
		synctest.Wait()
		w.Close()
		s.Close()
		s = openStore(t, small(), disk)
		if last, err := s.Recover(w.ID()); err != nil || last != w.Committed() {
			t.Fatalf("%d entries of %d, %v", last, w.Committed(), err)
		}
		if err := s.Seal(w.ID(), w.Committed()); err != nil {
			t.Fatal(err)
		}
		files = disk.Names(suffixFile)
		broken.Store(&files[len(files)-1])
		s.Drop(w.ID())
		synctest.Wait()
		s.Close()
		s = openStore(t, small(), disk)
		s.Drop(w.ID())
		synctest.Wait()
		broken.Store(nil)
		s.janitor.work.Set()
		synctest.Wait()
		if got := append(disk.Names(suffixFile), disk.Names(suffixMeta)...); len(got) != 0 || len(s.Journals()) != 0 {
			t.Errorf("left: %v, journals %v", got, s.Journals())
		}
		s.Close()
	})
}
