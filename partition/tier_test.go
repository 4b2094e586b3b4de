package partition

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/object"
	"varve/wal"
)

// bucket is a tier that has the records of a log, each with its timestamp, as far as a head
// says, and of epochs that the head forgot.
type bucket struct {
	Tier
	times  []int64
	epochs []schema.EpochStart
	asked  int
	before func() error // of each answer
}

func (b *bucket) ask() error {
	b.asked++
	if b.before == nil {
		return nil
	}
	return b.before()
}

func (b *bucket) FindTime(_ context.Context, h *schema.Head, _ id.Partition, at int64) (Stamp, bool, error) {
	err := b.ask()
	for o := h.LogStart; o < h.TieredEnd && err == nil; o++ {
		if b.times[o] >= at {
			return Stamp{Offset: o, Time: b.times[o]}, true, nil
		}
	}
	return Stamp{}, false, err
}

func (b *bucket) MaxTime(ctx context.Context, h *schema.Head, p id.Partition) (Stamp, bool, error) {
	newest := slices.Max(b.times[h.LogStart:h.TieredEnd])
	if newest < 0 {
		return Stamp{}, false, b.ask()
	}
	return b.FindTime(ctx, h, p, newest)
}

func (b *bucket) EpochEnd(_ context.Context, _ *schema.Head, _ id.Partition, e id.Epoch) (id.Epoch, int64, bool, error) {
	for i := range b.epochs {
		if b.epochs[i].Epoch > e {
			return b.epochs[i-1].Epoch, b.epochs[i].Start, true, b.ask()
		}
	}
	return id.NoEpoch, -1, false, b.ask()
}

// recycled has lost the journal files up to a place.
type recycled struct {
	Local
	to     wal.Pos
	before func() // of each read there
}

func (r *recycled) View(j id.Journal, pos wal.Pos, n int) (v wal.View, ok bool) {
	if pos < r.to {
		return v, false
	}
	return r.Local.View(j, pos, n)
}

func (r *recycled) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	if pos < r.to {
		if r.before != nil {
			r.before()
		}
		return wal.ErrGone
	}
	return r.Local.ReadAt(j, p, pos)
}

func (b *bench) tiered(p *Partition, end int64) {
	b.t.Helper()
	if err := p.UpdateHead(context.Background(), func(h *schema.Head) error { h.TieredEnd = end; return nil }); err != nil {
		b.t.Fatal(err)
	}
}

// Wherever the log passes from the tier to the journals, and wherever it starts, a look-up by
// time returns what a search through all records would.
func TestLookupsByTimeOverTailAndTier(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t)
		b.now = 10_000
		files, tier := &recycled{Local: b.deps.Local}, &bucket{}
		b.deps.Local, b.deps.Tier = files, tier
		p := b.take(settings())
		rng := rand.New(rand.NewPCG(seed, 11))
		for range 20 {
			batch := make([]int64, 1+rng.IntN(4))
			for i := range batch {
				batch[i] = rng.Int64N(1000) - 1
			}
			if r := appendBatch(p, timed(kafka.None, batch...)); r.err != nil {
				t.Fatal(r.err)
			}
			tier.times = append(tier.times, batch...)
		}
		edge := p.mu.log.tail.refs[rng.IntN(len(p.mu.log.tail.refs)-1)+1]
		b.tiered(p, edge.base)
		files.to = edge.pos
		start := rng.Int64N(int64(len(tier.times)))
		if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.LogStart = start; return nil }); err != nil {
			t.Fatal(err)
		}
		if start > edge.base {
			files.to = 0 // all that can be read is here
		}
		readable := tier.times[start:]
		for at := int64(0); at < 1001; at += 10 {
			found, ok, err := p.FindTime(t.Context(), at)
			i := slices.IndexFunc(readable, func(x int64) bool { return x >= at })
			if err != nil || ok != (i >= 0) || ok && (found.Offset != start+int64(i) || found.Time != readable[i]) {
				t.Fatalf("seed %d, time %d from %d, tier to %d: %+v, %v, %v; want number %d", seed, at, start, edge.base, found, ok, err, i)
			}
		}
		newest := slices.Max(readable)
		want := Stamp{Offset: start + int64(slices.Index(readable, newest)), Time: newest}
		if found, ok, err := p.MaxTime(t.Context()); err != nil || ok != (newest >= 0) || ok && found != want {
			t.Fatalf("seed %d, newest from %d, tier to %d: %+v, %v, %v; want %+v", seed, start, edge.base, found, ok, err, want)
		}
	}
}

// What is recycled while it is looked for is looked for in the tier, and what the tier moved
// meanwhile is looked for where it is now.
func TestLookupsFollowTheHead(t *testing.T) {
	for name, find := range map[string]func(*Partition) (Stamp, bool, error){
		"by time": func(p *Partition) (Stamp, bool, error) { return p.FindTime(context.Background(), 200) },
		"newest":  func(p *Partition) (Stamp, bool, error) { return p.MaxTime(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.now = 10_000
			files, tier := &recycled{Local: b.deps.Local}, &bucket{times: []int64{100, 200, 50}}
			b.deps.Local, b.deps.Tier = files, tier
			p := b.take(settings())
			for _, at := range tier.times {
				if r := appendBatch(p, timed(kafka.None, at)); r.err != nil {
					t.Fatal(r.err)
				}
			}
			files.to = p.mu.log.tail.refs[2].pos
			files.before = sync.OnceFunc(func() { b.tiered(p, 2) }) // the upload ended just before the file went
			moved := false
			tier.before = func() error {
				if moved {
					return nil
				}
				moved = true
				b.tiered(p, 2) // into another object
				return fmt.Errorf("slice: %w", object.ErrGone)
			}
			if found, ok, err := find(p); err != nil || !ok || found.Offset != 1 || found.Time != 200 || tier.asked != 2 {
				t.Errorf("%+v, %v, %v after %d questions to the tier", found, ok, err, tier.asked)
			}
			// What stays gone is an error.
			tier.before = func() error { return object.ErrGone }
			if _, ok, err := find(p); err == nil || ok {
				t.Errorf("found in an object that is gone: %v, %v", ok, err)
			}
		})
	}
}

// The tier knows where epochs ended that the head has forgotten.
func TestEpochEndsOverHeadAndTier(t *testing.T) {
	b := newBench(t)
	tier := &bucket{epochs: []schema.EpochStart{{Epoch: 2, Start: 0}, {Epoch: 5, Start: 40}, {Epoch: 7, Start: 90}}}
	b.deps.Tier = tier
	head := &schema.Head{Ownership: schema.Ownership{Epoch: 9}, TieredEnd: 120, Epochs: []schema.EpochStart{{Epoch: 7, Start: 90}, {Epoch: 9, Start: 110}}}
	p := New(b.deps, schema.StoredHead{Partition: part, Head: head}, settings())
	p.Serve()
	for _, x := range []struct {
		e, found id.Epoch
		end      int64
		ok       bool
		asked    int
	}{
		{9, 9, 120, true, 0}, {8, 7, 110, true, 0}, {10, id.NoEpoch, -1, false, 0},
		{6, 5, 90, true, 1}, {3, 2, 40, true, 1}, {id.NoEpoch, id.NoEpoch, -1, false, 0},
	} {
		tier.asked = 0
		if found, end, ok, err := p.EpochEnd(t.Context(), x.e); err != nil || found != x.found || end != x.end || ok != x.ok || tier.asked != x.asked {
			t.Errorf("epoch %d: %d ends at %d, %v, %v; the tier was asked %d times", x.e, found, end, ok, err, tier.asked)
		}
	}
	tier.before = func() error { return object.ErrGone }
	if _, _, ok, err := p.EpochEnd(t.Context(), 3); err == nil || ok {
		t.Error("a tier that can't be read gave an answer")
	}
	if at := p.EpochAt(95); at != 7 {
		t.Errorf("offset 95 is of epoch %d", at)
	}
	if at := p.EpochAt(80); at != id.NoEpoch {
		t.Errorf("offset 80 is of epoch %d", at)
	}
}

// TestEpochBeforeAllKnown: an epoch that left no trace ended where the first that is known
// begins, or at the log start, as in Kafka.
func TestEpochBeforeAllKnown(t *testing.T) {
	b := newBench(t)
	b.deps.Tier = new(bucket)
	for _, x := range []struct{ start, logStart, end int64 }{{5, 0, 5}, {5, 8, 8}, {0, 0, 0}} {
		head := &schema.Head{Ownership: schema.Ownership{Epoch: 4}, LogStart: x.logStart, TieredEnd: 9, Epochs: []schema.EpochStart{{Epoch: 3, Start: x.start}}}
		p := New(b.deps, schema.StoredHead{Partition: part, Head: head}, settings())
		p.Serve()
		if found, end, ok, err := p.EpochEnd(t.Context(), 1); err != nil || !ok || found != 1 || end != x.end {
			t.Errorf("%+v: epoch %d ends at %d, %v, %v", x, found, end, ok, err)
		}
	}
}
