package read

import (
	"fmt"
	"slices"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// Searches by time, epoch and aborted transaction find what looking at every
// record finds, through head and manifest, wherever the log starts.
func TestSearches(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { searches(t, seed) })
	}
}

func searches(t *testing.T, seed uint64) {
	rng := tiertest.Rand(seed)
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	var facts []fact
	epoch := id.Epoch(2)
	for range 80 + rng.IntN(120) {
		for range 1 + rng.IntN(3) {
			if rng.IntN(6) == 0 {
				epoch += id.Epoch(1 + rng.IntN(3))
			}
			b := tiertest.RandomBatch(t, rng, kafka.Codec(rng.IntN(5)), 1+rng.IntN(4), 20, 1000+rng.Int64N(5000))
			s.Produce(b, epoch, w.Now.Millis())
			err := b.Records(1<<20, func(r *kafka.Record) error {
				facts = append(facts, fact{r.Offset, r.Timestamp, epoch})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if from := rng.Int64N(s.Mu.Next); rng.IntN(3) == 0 {
			aborted := object.Aborted{ProducerID: rng.Int64N(5), First: from, Last: from + rng.Int64N(s.Mu.Next-from)}
			s.Alter(func() { s.Mu.Aborted = append(s.Mu.Aborted, aborted) })
		}
		w.Flush()
	}
	h := *s.Head()
	h.LogStart = rng.Int64N(h.TieredEnd)
	facts = slices.DeleteFunc(facts, func(f fact) bool { return f.offset < h.LogStart })
	ctx, p := t.Context(), s.ID
	for range 50 {
		at := 900 + rng.Int64N(5300)
		got, ok, err := w.reader.FindTime(ctx, &h, p, at)
		i := slices.IndexFunc(facts, func(f fact) bool { return f.time >= at })
		if err != nil || ok != (i >= 0) || ok && got != (object.Stamp{Offset: facts[i].offset, Time: facts[i].time, Epoch: facts[i].epoch}) {
			t.Fatalf("time %d: %+v, %v, %v; want number %d of %d", at, got, ok, err, i, len(facts))
		}
	}
	newest := slices.MaxFunc(facts, func(a, b fact) int { return int(a.time - b.time) })
	i := slices.IndexFunc(facts, func(f fact) bool { return f.time == newest.time })
	if got, ok, err := w.reader.MaxTime(ctx, &h, p); err != nil || !ok || got.Offset != facts[i].offset || got.Time != newest.time {
		t.Fatalf("newest %+v, %v, %v; want %+v", got, ok, err, facts[i])
	}
	for e := id.Epoch(0); e < epoch+2; e++ {
		found, end, ok, err := w.reader.EpochEnd(ctx, &h, p, e)
		i := slices.IndexFunc(facts, func(f fact) bool { return f.epoch > e })
		if err != nil || ok != (i >= 0) {
			t.Fatalf("epoch %v: %v, %v", e, ok, err)
		}
		if !ok {
			continue
		}
		want := e
		if i > 0 {
			want = facts[i-1].epoch
		}
		// Below the log start the tier may know an epoch that readers can't see.
		if end != facts[i].offset || i > 0 && found != want {
			t.Fatalf("epoch %v ends as %v at %d; want %v at %d", e, found, end, want, facts[i].offset)
		}
	}
	for range 20 {
		from := h.LogStart + rng.Int64N(h.TieredEnd-h.LogStart)
		to := from + 1 + rng.Int64N(h.TieredEnd-from)
		got, err := w.reader.AbortedIn(ctx, &h, p, from, to)
		if err != nil {
			t.Fatal(err)
		}
		want := map[object.Aborted]bool{}
		for _, a := range s.Mu.Aborted {
			if a.First < to && a.Last >= from {
				want[a] = true
			}
		}
		for _, a := range got {
			if !want[a] {
				t.Fatalf("%+v isn't in %d to %d", a, from, to)
			}
			delete(want, a)
		}
		for a := range want {
			// What was known only after the slices it touches were uploaded can't be there.
			if a.Last >= h.TieredEnd {
				t.Fatalf("%+v is missing", a)
			}
		}
	}
}

func TestProducers(t *testing.T) {
	cfg := testConfig()
	cfg.upload.SegmentBytes, cfg.upload.ObjectBytes, cfg.upload.BundleBytes = 100<<10, 200<<10, 100<<10
	w := newWorld(t, cfg)
	s := w.Source(1, 0)
	if got, err := w.reader.Producers(t.Context(), s.Head(), s.ID); err != nil || got != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	for i := range 3 {
		for range 9 {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 60<<10, 1), 0, w.Now.Millis())
		}
		s.Alter(func() {
			s.Mu.Producers = []object.Producer{{ID: int64(i), Epoch: 1, Timestamp: 5, Batches: []object.ProducerBatch{{FirstSequence: 1, LastSequence: 2, Base: 3}}}}
		})
		w.Flush()
		got, err := w.reader.Producers(t.Context(), s.Head(), s.ID)
		if err != nil || len(got) != 1 || got[0].ID != int64(i) || got[0].Batches[0].Base != 3 {
			t.Errorf("after upload %d: %+v, %v", i, got, err)
		}
	}
}
