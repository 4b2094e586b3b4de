package partition

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/tiering"
)

func timed(codec kafka.Codec, times ...int64) kafka.Batch {
	rs := make([]kafka.NewRecord, len(times))
	for i := range rs {
		rs[i] = kafka.NewRecord{Timestamp: times[i], Value: []byte("v")}
	}
	b, err := kafka.Build(codec, rs, nil)
	if err != nil {
		panic(err)
	}
	return b
}

// Whatever order timestamps come in and wherever the log starts, a look-up by
// time gives what a search through all records would.
func TestLookupsByTimeAgainstRecords(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t)
		b.now = 10_000
		p := b.take(settings())
		rng := rand.New(rand.NewPCG(seed, 9))
		var times []int64
		for range 40 {
			batch := make([]int64, 1+rng.IntN(4))
			for i := range batch {
				batch[i] = rng.Int64N(1000) - 1 // -1: without
			}
			if r := appendBatch(p, timed(kafka.Codec(rng.IntN(5)), batch...)); r.err != nil {
				t.Fatal(r.err)
			}
			times = append(times, batch...)
		}
		start := rng.Int64N(int64(len(times)))
		if err := p.Commit(t.Context(), func(h *metadata.Head) error { h.LogStart = start; return nil }); err != nil {
			t.Fatal(err)
		}
		readable := times[start:]
		for range 100 {
			at := rng.Int64N(1100)
			found, ok, err := p.FindTime(t.Context(), 0, at)
			i := slices.IndexFunc(readable, func(x int64) bool { return x >= at })
			if err != nil || ok != (i >= 0) || ok && (found.Offset != start+int64(i) || found.Time != readable[i]) {
				t.Fatalf("seed %d, time %d from %d: %+v, %v, %v; want number %d", seed, at, start, found, ok, err, i)
			}
		}
		newest := slices.Max(readable)
		want := tiering.Stamp{Offset: start + int64(slices.Index(readable, newest)), Time: newest}
		if found, ok, err := p.MaxTime(); err != nil || ok != (newest >= 0) || ok && found != want {
			t.Fatalf("seed %d, newest from %d: %+v, %v, %v; want %+v", seed, start, found, ok, err, want)
		}
	}
}

// Headers that say nothing of the newest record are corrected, those that say too
// much don't mislead.
func TestHeadersThatAreWrongAboutTime(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	p := b.take(settings())
	low, high := timed(kafka.Lz4, 500, 700, 600), timed(kafka.None, 100, 200)
	low.SetMaxTimestamp(-1)
	high.SetMaxTimestamp(5000)
	for _, batch := range []kafka.Batch{low, high, timed(kafka.None, 800, 900)} {
		if r := appendBatch(p, batch); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for at, want := range map[int64]int64{550: 1, 700: 1, 701: 5, 850: 6} {
		if found, ok, err := p.FindTime(t.Context(), 0, at); err != nil || !ok || found.Offset != want {
			t.Errorf("time %d: %+v, %v, %v; want %d", at, found, ok, err, want)
		}
	}
	if _, ok, err := p.FindTime(t.Context(), 0, 901); err != nil || ok {
		t.Errorf("behind the newest: %v, %v", ok, err)
	}
	d, _, _, err := p.Tail(0, 1, true, id.NoEpoch)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	if stored := kafka.Batch(d.Pieces[0]); stored.Validate() != nil || stored.MaxTimestamp() != 700 {
		t.Errorf("stored with the newest timestamp %d", stored.MaxTimestamp())
	}
	appended := timed(kafka.None, 100)
	appended.SetLogAppendTime(300)
	if r := appendBatch(p, appended); !errors.Is(r.err, ErrTimestamp) {
		t.Errorf("a client that plays the broker: %+v", r)
	}
}

// A batch whose records aren't what its header promises, which nobody looks at when it is
// produced, spoils look-ups by time for nobody.
func TestBatchThatLiesSpoilsNoLookUp(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	p := b.take(settings())
	record := []kafka.NewRecord{{Timestamp: 500, Value: []byte("v")}, {Timestamp: 600, Value: []byte("v")}}
	lying, err := kafka.Build(kafka.Gzip, record, func(b kafka.Batch) { b[kafka.BatchHeaderBytes] ^= 0xff })
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []kafka.Batch{timed(kafka.None, 100), lying, timed(kafka.None, 550)} {
		if r := appendBatch(p, batch); r.err != nil {
			t.Fatal(r.err)
		}
	}
	if found, ok, err := p.FindTime(t.Context(), 0, 300); err != nil || !ok || found.Offset != 3 {
		t.Errorf("by time: %+v, %v, %v", found, ok, err)
	}
	if _, _, err := p.MaxTime(); err != nil {
		t.Errorf("the newest: %v", err)
	}
}
