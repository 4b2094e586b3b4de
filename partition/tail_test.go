package partition

import (
	"testing"

	"varve/internal/id"
	"varve/wal"
)

// TestTailOfManyJournals: a partition that is written to for years outlives any number of
// journals, and remembers those only that it has something in.
func TestTailOfManyJournals(t *testing.T) {
	const kept, all = 3, 1<<16 + 100
	var tail tail
	at := func(n int) id.Journal { return id.Journal{Writer: id.Incarnation(1 + n), Seq: 1} }
	for n := range all {
		for k := range 2 {
			tail.push(at(n), ref{base: int64(2*n + k), spans: 1, pos: wal.Pos(n)})
		}
		tail.drop(int64(2*(n-kept)), func(id.Journal, wal.Pos) bool { return true })
		for i := range tail.refs {
			if r := &tail.refs[i]; tail.journal(r) != at(int(r.base/2)) {
				t.Fatalf("offset %d lies in %v, the tail says %v", r.base, at(int(r.base/2)), tail.journal(r))
			}
		}
	}
	if len(tail.refs) != 2*kept+2 || len(tail.journals) != kept+1 {
		t.Errorf("%d batches, %d journals", len(tail.refs), len(tail.journals))
	}
	n := 0
	tail.needs(0, func(id.Journal, wal.Pos) { n++ })
	if n != kept+1 {
		t.Errorf("%d journals are needed", n)
	}
	tail.drop(2*all, func(id.Journal, wal.Pos) bool { return true })
	tail.push(at(all), ref{base: 2 * all, spans: 1})
	if len(tail.journals) != 1 || tail.journal(&tail.refs[0]) != at(all) {
		t.Errorf("after all: %v", tail.journals)
	}
}
