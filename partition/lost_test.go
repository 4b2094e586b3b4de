package partition

import (
	"math"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/wal"
)

// TestLostOffsets: offsets that an operator gave up are not given again; readers of the
// tail find them spanned by batches without records, and so does the tier; no journal is
// needed for them.
func TestLostOffsets(t *testing.T) {
	b := newBench(t)
	head := &schema.Head{Ownership: schema.Ownership{Chain: []schema.Link{{Writer: 90, Epoch: 0, Start: 0}}}, LogStart: 5, TieredEnd: 5}
	head.Owner = 90
	head.Give(b.inc, 1)
	none := schema.StoredHead{Partition: part}
	rev, err := b.heads.Write(t.Context(), none.Guards(), none.Ops(head)...)
	if err != nil {
		t.Fatal(err)
	}
	p := New(b.deps, none.Stored(head, rev), settings())
	far := int64(100 + math.MaxInt32) // more than one batch can span
	if err := p.Lost(far, 0); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		next  int64
		epoch id.Epoch
	}{{far, 0}, {far - 1, 0}, {far + 1, -1}, {far + mostLost + 1, 0}} {
		if p.Lost(x.next, x.epoch) == nil {
			t.Errorf("up to %d in epoch %d was taken", x.next, x.epoch)
		}
	}
	p.Serve()
	if r := produce(p, 3, -1, -1, -1); r.err != nil || r.base != far {
		t.Fatalf("appended at %d, %v", r.base, r.err)
	}
	for _, from := range []int64{5, 2000} {
		d, _, _, err := p.ReadNear(Reading{Offset: from, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch})
		if err != nil || kafka.Batch(d.Pieces[0]).BaseOffset() > from || kafka.Batch(d.Pieces[0]).NextOffset() <= from {
			t.Errorf("a read at %d: %v", from, err)
		}
		d.Release()
	}
	if got := readAll(t, p, 5); len(got) != 3 {
		t.Errorf("%d records are read", len(got))
	}
	if s, ok, err := p.FindTime(t.Context(), 0); err != nil || !ok || s.Offset != far {
		t.Errorf("found by time: %+v, %v, %v", s, ok, err)
	}
	if s, ok, err := p.MaxTime(t.Context()); err != nil || !ok || s.Offset != far+2 {
		t.Errorf("newest: %+v, %v, %v", s, ok, err)
	}
	if e := p.Head().Epochs; len(e) != 2 || e[0].Start != 0 || e[1].Start != far {
		t.Errorf("epochs %+v", e)
	}
	p.Needs(func(j id.Journal, _ wal.Pos) {
		if j != b.w.ID() {
			t.Errorf("journal %v is needed", j)
		}
	})
	run, at := p.Pending(0, 1<<20), int64(5)
	for _, x := range run.Batches {
		buf := make(kafka.Batch, x.Size)
		if err := p.Read(t.Context(), x, buf); err != nil || buf.CheckCRC() != nil || buf.BaseOffset() != at || buf.NextOffset() != x.End {
			t.Errorf("to be uploaded: %d to %d, %v", buf.BaseOffset(), buf.NextOffset(), err)
		}
		at = x.End
	}
	if at != far+3 {
		t.Errorf("the tier gets offsets up to %d", at)
	}
	if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd = at; return nil }); err != nil {
		t.Fatal(err)
	}
	if n, _ := p.PendingBytes(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
}
