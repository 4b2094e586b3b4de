package partition

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// adopted returns a partition whose tier ends at 100 and whose journal holds what
// the producers then wrote, each batch of one record.
func adoptedPartition(b *bench, journal ...object.Producer) *Partition {
	b.t.Helper()
	head := &schema.Head{Ownership: schema.Ownership{Owner: 77, Epoch: 4}, TieredEnd: 100}
	if _, err := b.meta.Txn(b.t.Context(), nil, schema.StoredHead{Partition: part}.Ops(head)...); err != nil {
		b.t.Fatal(err)
	}
	b.down = true // nothing of this needs the tier
	p := b.take(settings())
	p.mu.producers.whole = true
	for _, k := range journal {
		for _, w := range k.Batches {
			if r := produce(p, 1, k.ID, k.Epoch, w.FirstSequence); r.err != nil || r.base != w.Base {
				b.t.Fatalf("%+v", r)
			}
		}
	}
	b.close()
	b.open()
	p = b.take(settings())
	b.down = false
	return p
}

func batches(first, n int32, base int64) (out []object.ProducerBatch) {
	for i := range n {
		out = append(out, object.ProducerBatch{FirstSequence: first + i, LastSequence: first + i, Base: base + int64(i)})
	}
	return out
}

// A producer's last five batches may lie on both sides of the tier's end: all are
// known again, and repeated batches stored once.
func TestProducersOfTierAndJournalAreJoined(t *testing.T) {
	b := newBench(t)
	b.known = []object.Producer{{ID: 8, Epoch: 2, Timestamp: b.now, Batches: batches(5, 5, 95)}, {ID: 9, Epoch: 1, Timestamp: b.now, Batches: batches(7, 1, 90)}}
	p := adoptedPartition(b, object.Producer{ID: 8, Epoch: 2, Batches: batches(10, 2, 100)}, object.Producer{ID: 9, Epoch: 3, Batches: batches(0, 1, 102)})
	b.down = true
	if r := produce(p, 1, 8, 2, 8); r.err == nil {
		t.Errorf("with the tier away: %+v", r)
	}
	if r := produce(p, 1, 8, 2, 11); r.err != nil || r.base != 101 {
		t.Errorf("repeated from the journal, with the tier away: %+v", r)
	}
	if r := produce(p, 1, 8, 2, 12); r.err != nil || r.base != 103 {
		t.Errorf("next, with the tier away: %+v", r)
	}
	b.down = false
	for seq, base := range map[int32]int64{8: 98, 9: 99, 10: 100, 11: 101, 12: 103} {
		if r := produce(p, 1, 8, 2, seq); r.err != nil || r.base != base {
			t.Errorf("sequence %d: %+v, want %d", seq, r, base)
		}
	}
	if r := produce(p, 1, 9, 1, 7); r.err == nil {
		t.Errorf("an old epoch: %+v", r)
	}
}

// What is handed to the tier after a change of owner remembers also the producers
// that did not come back yet.
func TestPendingKnowsAllProducers(t *testing.T) {
	b := newBench(t)
	b.known = []object.Producer{{ID: 8, Epoch: 2, Timestamp: b.now, Batches: batches(5, 5, 95)}}
	p := adoptedPartition(b, object.Producer{ID: 9, Epoch: 0, Batches: batches(0, 1, 100)})
	if err := p.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := p.Pending(0, 1<<20)
	if len(run.Producers) != 2 || run.Producers[0].ID != 8 || len(run.Producers[0].Batches) != 5 || run.Producers[1].ID != 9 {
		t.Errorf("pending knows %+v", run.Producers)
	}
	b.down = true
	if err := p.Recall(t.Context()); err != nil {
		t.Errorf("a second time the tier is not asked: %v", err)
	}
}

// replaced answers the first time as if the slice had just been replaced.
type replaced struct {
	Tier
	p *Partition
	n int
}

func (r *replaced) Producers(ctx context.Context, h *schema.Head, p id.Partition) ([]object.Producer, error) {
	if r.n++; r.n > 1 {
		return r.Tier.Producers(ctx, h, p)
	}
	if err := r.p.UpdateHead(ctx, func(h *schema.Head) error { h.LogStart = 1; return nil }); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("newest slice: %w", object.ErrGone)
}

func TestRecallFollowsTheHead(t *testing.T) {
	b := newBench(t)
	b.known = []object.Producer{{ID: 8, Epoch: 2, Timestamp: b.now, Batches: batches(5, 5, 95)}}
	p := adoptedPartition(b)
	b.deps.Tier = &replaced{Tier: b, p: p}
	if err := p.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := produce(p, 1, 8, 2, 9); r.err != nil || r.base != 99 {
		t.Errorf("repeated: %+v", r)
	}
}

// failing is a tier that gives an error instead of producers.
type failing struct {
	Tier
	err error
}

func (f failing) Producers(context.Context, *schema.Head, id.Partition) ([]object.Producer, error) {
	return nil, f.err
}

// tally sums what was counted.
func tally(t *testing.T, reg *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) == 0 {
		t.Fatalf("%d metrics: %v", len(families), err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

// Promise 6, of one partition beside others: a memory of producers that is lost for good
// is done without, and said so once. What may come back is waited for.
func TestRecallGivesUpWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		lost bool
	}{
		"gone":    {fmt.Errorf("newest slice: %w", object.ErrGone), true},
		"corrupt": {fmt.Errorf("newest slice: %w", &object.CorruptError{Key: "k", Err: errors.New("checksum")}), true},
		"newer":   {&object.CorruptError{Key: "k", Err: object.ErrVersion}, false},
		"away":    {errors.New("the bucket is away"), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := adoptedPartition(b, object.Producer{ID: 9, Epoch: 0, Batches: batches(0, 1, 100)})
			reg := prometheus.NewRegistry()
			b.deps.Tier, b.deps.Metrics = failing{err: c.err}, NewMetrics(reg)
			r := produce(p, 1, 8, 2, 9) // of a producer that only the tier may know
			err := p.Recall(t.Context())
			if c.lost && (r.err != nil || r.base != 101 || err != nil) || !c.lost && (!errors.Is(r.err, c.err) || !errors.Is(err, c.err)) {
				t.Errorf("append: %+v, recall: %v", r, err)
			}
			if n := tally(t, reg); n == 1 != c.lost || n > 1 {
				t.Errorf("counted %v times", n)
			}
			if r := produce(p, 1, 9, 0, 0); r.err != nil || r.base != 100 {
				t.Errorf("what the journal knows: %+v", r)
			}
		})
	}
}

// Producers expire by when they wrote, not by what their records say.
func TestProducersExpireByTheirWrites(t *testing.T) {
	b := newBench(t)
	s := settings()
	s.ProducerExpiryMs = 1000
	b.now += 1 << 40 // the records of newBatch are old
	p := b.take(s)
	touch := func() {
		t.Helper()
		if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if r := produce(p, 1, 8, 0, 0); r.err != nil {
		t.Fatal(r.err)
	}
	b.now += 1000
	touch()
	if n := len(p.Producers()); n != 1 {
		t.Errorf("%d producers are known after 1000 ms", n)
	}
	b.now++
	touch()
	if n := len(p.Producers()); n != 0 {
		t.Errorf("%d producers are known after 1001 ms", n)
	}
}
