package garbage

import (
	"reflect"
	"testing"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/object"
	"varve/tiering/read"
	"varve/tiering/retain"
	"varve/tiering/tiertest"
)

// Producers are remembered by the tier although retention or DeleteRecords took
// every record, until they expire: neither forgotten nor kept for ever.
func TestProducersOutliveTheirRecords(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	keep := retain.Limits{Ms: -1, Bytes: -1}
	k, c := w.retention(&keep, nil), w.collector(eager())
	rng := tiertest.Rand(3)
	produce := func() {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 50, w.Now.Millis()), 0, w.Now.Millis())
		w.Flush()
	}
	known := []object.Producer{{ID: 4, Epoch: 1, Timestamp: w.Now.Millis(), Batches: []object.ProducerBatch{{FirstSequence: 0, LastSequence: 0, Base: 0}, {FirstSequence: 1, LastSequence: 1, Base: 1}}}}
	s.Mu.Producers = known
	remembered := func(want []object.Producer, objects int) {
		t.Helper()
		k.Pass(t.Context())
		w.collect(c)
		if n := len(w.ObjectsIn(object.PrefixData)); n != objects {
			t.Fatalf("%d objects are left, want %d", n, objects)
		}
		cold := read.New(w.Store, testConfig().reader, nil)
		defer cold.Close()
		got, err := cold.Producers(t.Context(), s.Head(), s.ID)
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
	if h := s.Head(); h.LogStart != 100 || h.TieredBytes() != 0 || h.Manifest != (schema.Manifest{}) {
		t.Fatalf("head %+v", h)
	}
	// A newer slice takes its place, also when retention takes that at once.
	keep.Bytes = 0
	w.Now.Add(1000)
	known[0].Timestamp = w.Now.Millis()
	known[0].Batches = []object.ProducerBatch{{FirstSequence: 1, LastSequence: 1, Base: 1}, {FirstSequence: 2, LastSequence: 2, Base: 100}}
	produce()
	remembered(known, 1)
	if h := s.Head(); h.LogStart != 101 || len(h.Slices) != 1 {
		t.Fatalf("head %+v", h)
	}
	w.Now.Add(remember - 1)
	remembered(known, 1)
	w.Now.Add(1)
	remembered(nil, 0)
	if h := s.Head(); h.LogStart != 101 || h.TieredEnd != 101 || len(h.Slices) != 0 {
		t.Fatalf("head %+v", h)
	}
	produce()
	w.CheckHistory(s, 101, 1000)
}
