package wal

import (
	"fmt"
	"strings"
	"testing"

	"varve/internal/id"
	"varve/internal/vfs"
)

// inspected returns what Inspect reports, as lines.
func inspected(t *testing.T, fs vfs.FS) string {
	t.Helper()
	var b strings.Builder
	err := Inspect(fs, "j", Inspector{
		Journal: func(j id.Journal, fence uint64, sealed bool, end uint64) {
			fmt.Fprintf(&b, "journal %v fence %d sealed %v end %d\n", j, fence, sealed, end)
		},
		File: func(path string, size int64, err error) { fmt.Fprintf(&b, "file %s %d %v\n", path, size, err) },
		Entry: func(e *Entry) {
			fmt.Fprintf(&b, "entry %d at %v\n", e.Number, e.Pos)
			for i := range e.Records {
				fmt.Fprintf(&b, "append %d to %d\n", e.Records[i].Base, e.Records[i].End())
			}
		},
		End:   func(at int64, why error) { fmt.Fprintf(&b, "end %v\n", why != nil) },
		Other: func(name string) { fmt.Fprintf(&b, "other %s\n", name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// written makes a journal of n entries with an append of 20 KiB each, fenced at epoch 3 and
// sealed after the last.
func written(t *testing.T, n int64) *vfs.Memory {
	t.Helper()
	fs := vfs.NewMemory()
	s := openStore(t, small(), fs)
	w := createJournal(t, s, 7)
	o := newOutcome()
	for i := range n {
		if err := o.add(t, w, i, 20<<10); err != nil {
			t.Fatal(err)
		}
		o.n.Wait() // so that each is an entry of its own
	}
	w.Close()
	if _, err := s.Fence(w.ID(), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(w.ID(), uint64(n)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return fs
}

func TestInspectTellsAllThatWasWritten(t *testing.T) {
	const n = 30
	got := inspected(t, written(t, n))
	if strings.Count(got, "journal ") != 1 || !strings.Contains(got, "journal 7-1 fence 3 sealed true end 30\n") || !strings.Contains(got, "other store\n") {
		t.Errorf("the journal is not told of:\n%s", got)
	}
	for i := range int64(n) {
		if want := fmt.Sprintf("append %d to %d\n", i, i+1); strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(got, want))
		}
		if want := fmt.Sprintf("entry %d at", i+1); strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(got, want))
		}
	}
	if strings.Count(got, "file j/7-1.") < 3 {
		t.Errorf("the test wants several files:\n%s", got)
	}
}

func TestInspectStopsAtDamageInAFile(t *testing.T) {
	fs := written(t, 30)
	whole := inspected(t, fs)
	f, err := fs.Open("j/7-1.00000001.wal", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'?'}, 3*blockBytes); err != nil { // in the first body
		t.Fatal(err)
	}
	f.Close()
	got := inspected(t, fs)
	before, after, _ := strings.Cut(got, "file j/7-1.00000001.wal 262144 <nil>\n")
	if !strings.HasPrefix(after, "end true\n") || !strings.HasPrefix(whole, before) {
		t.Errorf("damage is not where it was done:\n%s", got)
	}
	if !strings.Contains(after, "entry 30 at") {
		t.Errorf("the files behind are not read:\n%s", got)
	}
}

func TestInspectDoubtsAHeader(t *testing.T) {
	fs := written(t, 30)
	if err := fs.Rename("j/7-1.00000001.wal", "j/7-1.000000ff.wal"); err != nil {
		t.Fatal(err)
	}
	if got := inspected(t, fs); !strings.Contains(got, "file j/7-1.000000ff.wal 262144 its header is of file 7-1.00000001.wal\n") {
		t.Errorf("a renamed file is taken:\n%s", got)
	}
}

func TestInspectChangesNothing(t *testing.T) {
	fs := written(t, 30)
	before, err := fs.List("j")
	if err != nil {
		t.Fatal(err)
	}
	first := inspected(t, fs)
	after, err := fs.List("j")
	if err != nil || strings.Join(before, " ") != strings.Join(after, " ") || inspected(t, fs) != first {
		t.Errorf("files were %v and are %v (%v)", before, after, err)
	}
	s := openStore(t, small(), fs)
	if last, err := s.Recover(id.Journal{Writer: 7, Seq: 1}); err != nil || last != 30 {
		t.Errorf("recovered up to %d: %v", last, err)
	}
	s.Close()
}

// InspectHeads reports journals and files as Inspect does, and no entries.
func TestInspectHeads(t *testing.T) {
	fs := written(t, 4)
	want := ""
	for line := range strings.Lines(inspected(t, fs)) {
		if strings.HasPrefix(line, "journal ") || strings.HasPrefix(line, "file ") {
			want += line
		}
	}
	var b strings.Builder
	err := InspectHeads(fs, "j", Inspector{
		Journal: func(j id.Journal, fence uint64, sealed bool, end uint64) {
			fmt.Fprintf(&b, "journal %v fence %d sealed %v end %d\n", j, fence, sealed, end)
		},
		File:  func(path string, size int64, err error) { fmt.Fprintf(&b, "file %s %d %v\n", path, size, err) },
		Entry: func(*Entry) { t.Error("an entry was read") },
		End:   func(int64, error) { t.Error("entries were read") },
		Other: func(string) {},
	})
	if err != nil || want == "" || b.String() != want {
		t.Errorf("%v:\n%swant\n%s", err, b.String(), want)
	}
}
