package wal

import (
	"strings"
	"sync/atomic"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
)

// indexReads counts how often an index is opened.
type indexReads struct {
	vfs.FS
	n atomic.Int64
}

func (r *indexReads) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if strings.HasSuffix(name, suffixIndex) {
		r.n.Add(1)
	}
	return r.FS.Open(name, mode)
}

// Promise 7: reading the directories of a journal reads each index once, however many answers
// they are split into.
func TestDirectoriesAreReadOnce(t *testing.T) {
	fs := &indexReads{FS: vfs.NewMemory()}
	cfg := small()
	cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes, cfg.SoftBytes = 8<<20, 1<<20, 8<<20, 64<<20
	s := openStore(t, cfg, fs)
	defer s.Close()
	w := createJournal(t, s, 1)
	j := w.ID()
	o := newOutcome()
	n := int64(0)
	file := func() uint32 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.mu.current.file.num
	}
	for file() < 2 {
		if err := o.add(t, w, n, 100); err != nil {
			t.Fatal(err)
		}
		n++
	}
	o.n.Wait()
	w.Close()
	s.journals.writeIndexes()
	indexed := int64(0)
	s.journals.mu.Lock()
	for _, f := range s.journals.mu.of[j].files {
		if f.indexed {
			indexed++
		}
	}
	s.journals.mu.Unlock()
	fs.n.Store(0)
	d := s.Directories(j)
	records, calls := int64(0), int64(0)
	var last []byte
	var lastFrom uint64
	after := uint64(0)
	for ; ; calls++ {
		b, err := d.Next(after)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			break
		}
		last, lastFrom = b, after
		after = parsed(t, b, after, &records)
	}
	if indexed < 2 || calls < 3*indexed {
		t.Fatalf("%d answers from %d indexes: this tests nothing", calls, indexed)
	}
	if records != n || fs.n.Load() != indexed {
		t.Errorf("%d records of %d, %d reads of %d indexes", records, n, fs.n.Load(), indexed)
	}
	if d.dirs != nil || d.file != nil {
		t.Error("directories are held behind the end")
	}
	again, err := d.Next(lastFrom)
	if err != nil || string(again) != string(last) {
		t.Errorf("the last answer once more has %d bytes, not %d: %v", len(again), len(last), err)
	}
	if b, err := d.Next(0); err != nil || parsed(t, b, 0, new(int64)) == 0 {
		t.Errorf("the first answer once more: %v", err)
	}
}

// parsed counts the records of an answer and returns its last entry.
func parsed(t *testing.T, b []byte, after uint64, records *int64) uint64 {
	t.Helper()
	err := ParseDirectories(b, func(e *Entry) error {
		if e.Number != after+1 {
			t.Fatalf("entry %d behind %d", e.Number, after)
		}
		after = e.Number
		*records += int64(len(e.Records))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// Directories also returns entries that are added meanwhile, but none beyond the end of a
// sealed journal.
func TestDirectoriesGrow(t *testing.T) {
	s := openStore(t, small(), vfs.NewMemory())
	defer s.Close()
	w := createJournal(t, s, 1)
	o := newOutcome()
	d := s.Directories(w.ID())
	after, records := uint64(0), int64(0)
	for n := range int64(5) {
		if err := o.add(t, w, n, 100); err != nil {
			t.Fatal(err)
		}
		o.shown(w)
		b, err := d.Next(after)
		if err != nil {
			t.Fatal(err)
		}
		if after = parsed(t, b, after, &records); records != n+1 {
			t.Fatalf("%d records of %d", records, n+1)
		}
	}
	w.Close()
	if err := s.Seal(w.ID(), after-1); err != nil {
		t.Fatal(err)
	}
	if b, err := d.Next(after - 1); err != nil || len(b) != 0 {
		t.Errorf("%d bytes beyond the end: %v", len(b), err)
	}
	if _, err := s.Directories(id.Journal{Writer: 9, Seq: 9}).Next(0); err == nil {
		t.Error("a journal that isn't here has directories")
	}
}
