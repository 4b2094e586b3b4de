package partition

import (
	"sync"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/wal"
)

// trimmed has lost the journal files up to a place, as the journal's floor says.
type trimmed struct {
	Local
	to     wal.Pos
	before func() // of each read
}

func (f *trimmed) Floor(id.Journal) wal.Pos { return f.to }

func (f *trimmed) View(_ id.Journal, _ wal.Pos, _ int) (v wal.View, ok bool) { return v, false }

func (f *trimmed) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	if f.before != nil {
		f.before()
	}
	if pos < f.to {
		return wal.ErrGone
	}
	return f.Local.ReadAt(j, p, pos)
}

// moveOn is what an uploader does meanwhile: it commits up to an offset, the journal's files up
// to there are recycled, and with the next commit the index forgets what was in them.
func (b *bench) moveOn(p *Partition, f *trimmed, end int64) {
	b.tiered(p, end)
	f.to = p.mu.log.tail.refs[p.mu.log.tail.find(end)].pos
	b.tiered(p, end)
}

// Records that leave the index while the tier is asked, are not passed over.
func TestFindTimeWhileTheTailMovesOn(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	files, tier := &trimmed{Local: b.deps.Local}, &bucket{times: []int64{100, 200, 300, 400, 500}}
	b.deps.Local, b.deps.Tier = files, tier
	p := b.take(settings())
	for _, at := range tier.times {
		if r := appendBatch(p, timed(kafka.None, at)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	b.moveOn(p, files, 1)
	tier.before = func() error {
		tier.before = nil
		b.moveOn(p, files, 3)
		return nil
	}
	if found, ok, err := p.FindTime(t.Context(), 200); err != nil || !ok || found.Offset != 1 {
		t.Errorf("%+v, %v, %v; want offset 1, which has the time 200", found, ok, err)
	}
}

func TestMaxTimeWhileTheTailMovesOn(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	files, tier := &trimmed{Local: b.deps.Local}, &bucket{times: []int64{100, 110, 900, 300, 400}}
	b.deps.Local, b.deps.Tier = files, tier
	p := b.take(settings())
	for _, batch := range [][]int64{{100, 110}, {900}, {300}, {400}} {
		if r := appendBatch(p, timed(kafka.None, batch...)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.LogStart = 1; return nil }); err != nil {
		t.Fatal(err)
	}
	// The batch in which the log starts is read; that takes a while.
	var once sync.Once
	real := files.Local
	files.Local = after{real, func() { once.Do(func() { b.moveOn(p, files, 3) }) }}
	if found, ok, err := p.MaxTime(t.Context()); err != nil || !ok || found.Offset != 2 {
		t.Errorf("%+v, %v, %v; want offset 2, which has the time 900", found, ok, err)
	}
}

// after does something after each read.
type after struct {
	Local
	then func()
}

func (a after) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	err := a.Local.ReadAt(j, p, pos)
	a.then()
	return err
}
