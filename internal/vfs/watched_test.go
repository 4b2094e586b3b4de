package vfs_test

import (
	"strings"
	"testing"

	"varve/internal/vfs"
)

// TestWatchedKnowsWhatIsUnderWay: each call of a file system and its files is seen while
// it is under way, and not after.
func TestWatchedKnowsWhatIsUnderWay(t *testing.T) {
	m := vfs.NewMemory()
	w := vfs.Watch(m)
	var seen []string
	last := uint64(0)
	m.Fault = func(string, string) error {
		n, what := w.Oldest()
		if n <= last {
			t.Errorf("call %d after %d", n, last)
		}
		last = n
		seen = append(seen, what)
		return nil
	}
	if err := w.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(w, "d", "f", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if b, err := vfs.ReadFile(w, "d/f", 10); err != nil || string(b) != "x" {
		t.Fatalf("%q, %v", b, err)
	}
	if err := vfs.RemoveSynced(w, "d", "f"); err != nil {
		t.Fatal(err)
	}
	if n, what := w.Oldest(); n != 0 {
		t.Errorf("%s is under way", what)
	}
	want := "open d/f.tmp, write d/f.tmp, sync d/f.tmp, rename d/f.tmp, sync d, open d/f, read d/f, remove d/f, sync d"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("seen: %s", got)
	}
}
