package wal

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/golden"
	"varve/internal/id"
	"varve/internal/vfs"
)

// goldenRecord is the record of append n.
func goldenRecord(n int64) Record {
	return Record{Partition: id.Partition{Topic: id.Topic{1, 2, 15: 3}, Index: 4}, Epoch: 5, Base: n, LastDelta: 0, Count: 1,
		ProducerID: 1 << 40, BaseSequence: int32(n), ProducerEpoch: 6, Attributes: 0x13, BaseTime: 1_790_000_000_000 + n, MaxTime: 1_790_000_000_100 + n, TimeKnown: n%2 == 0}
}

const (
	goldenAppends = 8
	goldenSize    = 60 << 10
)

// goldenJournal writes a journal of two files, the first with its index, and seals it.
func goldenJournal(t *testing.T) *vfs.Memory {
	t.Helper()
	disk := vfs.NewMemory()
	s := openStore(t, small(), disk)
	w := createJournal(t, s, 7)
	o := newOutcome()
	for n := range int64(goldenAppends) {
		b := make([]byte, goldenSize)
		b[0], b[len(b)-1] = byte(n), 0xee
		rec := goldenRecord(n)
		rec.BodyCRC = sum(b[BodySumFrom:])
		if err := o.append(w, &rec, b); err != nil {
			t.Fatal(err)
		}
		o.n.Wait() // so that each is an entry of its own
	}
	w.Close()
	s.journals.writeIndexes()
	if _, err := s.Fence(w.ID(), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(w.ID(), goldenAppends); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

// dumpFiles returns a journal's files as text.
func dumpFiles(t *testing.T, disk *vfs.Memory) string {
	t.Helper()
	var out strings.Builder
	for _, name := range disk.Names("") {
		b, err := vfs.ReadFile(disk, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		dump := golden.Dump(b)
		switch filepath.Ext(name) {
		case suffixFile:
			if strings.Count(dump, "\n") <= 2 {
				continue // has no entry yet, if it is there at all
			}
		case suffixIndex, suffixMeta:
		default:
			continue
		}
		fmt.Fprintf(&out, "file %s %d\n%s\n", filepath.Base(name), len(b), dump)
	}
	return out.String()
}

// undumpFiles makes the files of a dump.
func undumpFiles(t *testing.T, text string) *vfs.Memory {
	t.Helper()
	disk := vfs.NewMemory()
	if err := disk.MkdirAll("j"); err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(strings.TrimSpace(text), "\n\n") {
		head, dump, _ := strings.Cut(part, "\n")
		var name string
		var size int
		if _, err := fmt.Sscanf(head, "file %s %d", &name, &size); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if err := vfs.WriteFile(disk, "j", name, golden.Undump(t, dump, size)); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// A journal is written byte for byte as before, and one that an earlier build wrote is read.
func TestGoldenJournal(t *testing.T) {
	const path = "testdata/journal-v1.txt"
	golden.Check(t, path, dumpFiles(t, goldenJournal(t)))
	s := openStore(t, small(), undumpFiles(t, golden.Read(t, path)))
	defer s.Close()
	j := id.Journal{Writer: 7, Seq: 1}
	last, err := s.Recover(j)
	if err != nil || last != goldenAppends {
		t.Fatalf("the last entry is %d, %v", last, err)
	}
	n := int64(0)
	err = s.Entries(j, func(e *Entry) error {
		for i := range e.Records {
			got, want := e.Records[i], goldenRecord(n)
			b := make([]byte, got.Size)
			if err := s.ReadAt(j, b, e.Pos+Pos(got.BodyAt)); err != nil && err != io.EOF {
				return err
			}
			want.BodyAt, want.Size, want.BodyCRC, want.headCRC = got.BodyAt, goldenSize, sum(b[BodySumFrom:]), got.headCRC
			if got != want || b[0] != byte(n) || b[len(b)-1] != 0xee {
				t.Errorf("append %d: %+v, want %+v", n, got, want)
			}
			n++
		}
		return nil
	})
	if err != nil || n != goldenAppends {
		t.Errorf("%d appends, %v", n, err)
	}
}
