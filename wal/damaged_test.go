package wal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"varve/internal/id"
	"varve/internal/vfs"
)

// TestOneDamagedJournal: a sector that can't be read makes one journal unusable, not the store.
// The store answers nothing about the damaged journal and serves the others. When the damaged
// journal is dropped, all of its files are removed.
func TestOneDamagedJournal(t *testing.T) {
	for name, spoil := range map[string]struct {
		file string
		with []byte
		at   int64
	}{
		"header":              {"1-1.00000000.wal", bytes.Repeat([]byte{7}, 4000), 12},
		"header of an unused": {"1-1.00000001.wal", make([]byte, blockBytes), 0},
		"meta":                {"1-1.meta", bytes.Repeat([]byte{7}, 20), 12},
		"another version":     {"1-1.00000000.wal", []byte{99, 0, 0, 0}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewMemory()
				s := openStore(t, small(), disk)
				var js []id.Journal
				for i := range 2 {
					w := createJournal(t, s, id.Incarnation(i+1))
					o := newOutcome()
					for n := range int64(3) {
						if err := o.add(t, w, n, 1000); err != nil {
							t.Fatal(err)
						}
					}
					o.n.Wait()
					synctest.Wait() // the next file is made
					w.Close()
					js = append(js, w.ID())
				}
				s.Close()
				overwrite(t, disk, "j/"+spoil.file, spoil.with, spoil.at)
				s, err := Open(small(), Options{FS: disk, Log: discard})
				if strings.Contains(name, "version") {
					if err == nil {
						t.Error("opened")
						s.Close()
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				var corrupt *CorruptError
				if n, err := s.Fence(js[0], 7); !errors.As(err, &corrupt) {
					t.Errorf("a recoverer is told %d, %v", n, err)
				}
				if err := s.Join(js[0], Membership{FileBytes: s.FileBytes()}); !errors.As(err, &corrupt) {
					t.Errorf("joined again: %v", err)
				}
				if n, err := s.Fence(js[1], 7); err != nil || n == 0 {
					t.Errorf("the other journal: %d, %v", n, err)
				}
				if spoil.file != "1-1.meta" {
					if err := s.Seal(js[0], 3); err != nil {
						t.Fatal(err)
					}
					s.Drop(js[0])
					synctest.Wait()
					for _, left := range append(disk.Names(suffixFile), disk.Names(suffixMeta)...) {
						if strings.Contains(left, "1-1") {
							t.Errorf("dropped, and %s is left", left)
						}
					}
				}
				s.Close()
			})
		})
	}
}

// overwrite changes a file from a place on.
func overwrite(t *testing.T, disk *vfs.Memory, path string, with []byte, at int64) {
	t.Helper()
	f, err := disk.Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
