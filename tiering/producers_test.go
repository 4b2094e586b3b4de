package tiering

import (
	"errors"
	"reflect"
	"testing"

	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

// Producers are remembered by the tier although retention or DeleteRecords took
// every record, until they expire: neither forgotten nor kept for ever.
func TestProducersOutliveTheirRecords(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	keep := Retention{-1, -1}
	k, c := w.keeper(&keep, nil), w.collector(eager())
	rng := newRand(3)
	produce := func() {
		s.produce(randomBatch(t, rng, kafka.None, 1, 50, w.now.ms()), 0, w.now.ms())
		w.flush()
	}
	known := []Producer{{ID: 4, Epoch: 1, Timestamp: w.now.ms(), Batches: []ProducerBatch{{0, 0, 0}, {1, 1, 1}}}}
	s.mu.producers = known
	remembered := func(want []Producer, objects int) {
		t.Helper()
		k.Pass(t.Context())
		w.collect(c)
		if n := len(w.objectsIn(PrefixData)); n != objects {
			t.Fatalf("%d objects are left, want %d", n, objects)
		}
		cold := NewReader(w.store, testConfig().reader, nil)
		defer cold.Close()
		got, err := cold.Producers(t.Context(), s.Head(), s.id)
		if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("remembered %+v, %v; want %+v", got, err, want)
		}
	}
	for range 100 { // so that there is a manifest
		produce()
	}
	if err := k.DeleteTo(t.Context(), s, 100); err != nil {
		t.Fatal(err)
	}
	remembered(known, 1)
	if h := s.Head(); h.LogStart != 100 || h.TieredBytes() != 0 || h.Manifest != (metadata.Manifest{}) {
		t.Fatalf("head %+v", h)
	}
	// A newer slice takes its place, also when retention takes that at once.
	keep.Bytes = 0
	w.now.add(1000)
	known[0].Timestamp = w.now.ms()
	known[0].Batches = []ProducerBatch{{1, 1, 1}, {2, 2, 100}}
	produce()
	remembered(known, 1)
	if h := s.Head(); h.LogStart != 101 || len(h.Slices) != 1 {
		t.Fatalf("head %+v", h)
	}
	w.now.add(remember - 1)
	remembered(known, 1)
	w.now.add(1)
	remembered(nil, 0)
	if h := s.Head(); h.LogStart != 101 || h.TieredEnd != 101 || len(h.Slices) != 0 {
		t.Fatalf("head %+v", h)
	}
	produce()
	w.checkHistory(s, 101, 1000)
}

// While the tier can't be asked who its producers are, records go and the slice
// stays.
func TestRetentionGoesOnWithoutProducers(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 50, w.now.ms()), 0, w.now.ms())
	w.flush()
	keep := Retention{-1, 0}
	k := w.keeper(&keep, nil)
	w.faults = func(s3store.Call) s3store.Fault { return s3store.Fault{Before: errors.New("away")} }
	k.cfg.StepTimeout = 1
	k.Pass(t.Context())
	if h := s.Head(); h.LogStart != 1 || len(h.Slices) != 1 {
		t.Fatalf("head %+v", h)
	}
	w.faults = nil
	k.cfg.StepTimeout = DefaultKeeperConfig().StepTimeout
	k.Pass(t.Context())
	if h := s.Head(); len(h.Slices) != 0 {
		t.Fatalf("head %+v", h)
	}
}

// What is tiered first after a change of owner waits until the owner knows the
// producers of before.
func TestUploadWaitsForProducers(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	s.mu.recallErr = errors.New("away")
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 50, w.now.ms()), 0, w.now.ms())
	w.now.add(w.upload.cfg.MaxAge.Milliseconds())
	if tasks := w.upload.plan(t.Context()); len(tasks) != 0 {
		t.Fatalf("%d tasks although producers are not known", len(tasks))
	}
	s.mu.recallErr = nil
	clear(w.upload.failed)
	if tasks := w.upload.plan(t.Context()); len(tasks) != 1 {
		t.Fatalf("%d tasks", len(tasks))
	}
}

// TieredBytes is what can be read, by whole slices, whatever was cut and folded.
func TestTieredBytesAreExact(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	keep := Retention{-1, -1}
	k := w.keeper(&keep, nil)
	rng := newRand(5)
	for i := range 400 {
		s.produce(randomBatch(t, rng, kafka.None, 1+rng.IntN(3), rng.IntN(100), 1), 0, w.now.ms())
		w.flush()
		if h := s.Head(); rng.IntN(9) == 0 {
			if err := k.DeleteTo(t.Context(), s, h.LogStart+rng.Int64N((h.TieredEnd-h.LogStart)/4+1)); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(20) == 0 {
			k.Pass(t.Context())
		}
		h := s.Head()
		if want := int64(len(s.history(h.LogStart))); h.TieredBytes() != want {
			t.Fatalf("round %d, %d to %d: %d bytes, want %d", i, h.LogStart, h.TieredEnd, h.TieredBytes(), want)
		}
	}
	if s.Head().Manifest.Slices == 0 {
		t.Fatal("nothing was folded")
	}
}
