package partition

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/object"
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
// time returns what a search through all records would.
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
		if err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.LogStart = start; return nil }); err != nil {
			t.Fatal(err)
		}
		readable := times[start:]
		for range 100 {
			at := rng.Int64N(1100)
			found, ok, err := p.FindTime(t.Context(), at)
			i := slices.IndexFunc(readable, func(x int64) bool { return x >= at })
			if err != nil || ok != (i >= 0) || ok && (found.Offset != start+int64(i) || found.Time != readable[i]) {
				t.Fatalf("seed %d, time %d from %d: %+v, %v, %v; want number %d", seed, at, start, found, ok, err, i)
			}
		}
		newest := slices.Max(readable)
		want := object.Stamp{Offset: start + int64(slices.Index(readable, newest)), Time: newest}
		if found, ok, err := p.MaxTime(t.Context()); err != nil || ok != (newest >= 0) || ok && found != want {
			t.Fatalf("seed %d, newest from %d: %+v, %v, %v; want %+v", seed, start, found, ok, err, want)
		}
	}
}

// Whatever the header says of the largest timestamp, what is stored is that of the
// records, and look-ups go by it.
func TestHeadersThatAreWrongAboutTime(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	p := b.take(settings())
	low, lower, high := timed(kafka.Lz4, 500, 700, 600), timed(kafka.Zstd, 620, 750), timed(kafka.None, 100, 200)
	low.SetMaxTimestamp(-1, false)
	lower.SetMaxTimestamp(620, false)
	high.SetMaxTimestamp(5000, false)
	for _, batch := range []kafka.Batch{low, lower, high, timed(kafka.None, 800, 900)} {
		if r := appendBatch(p, batch); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for at, want := range map[int64]int64{550: 1, 700: 1, 701: 4, 751: 7, 850: 8} {
		if found, ok, err := p.FindTime(t.Context(), at); err != nil || !ok || found.Offset != want {
			t.Errorf("time %d: %+v, %v, %v; want %d", at, found, ok, err, want)
		}
	}
	if _, ok, err := p.FindTime(t.Context(), 901); err != nil || ok {
		t.Errorf("after the newest: %v, %v", ok, err)
	}
	d, _, _, err := p.ReadNear(Reading{Offset: 0, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	all := bytes.Join(d.Pieces, nil)
	for i, want := range []int64{700, 750, 200, 900} {
		stored, rest, err := kafka.Next(all)
		if err != nil || stored.CheckCRC() != nil || stored.MaxTimestamp() != want {
			t.Errorf("batch %d is stored with %d as its largest timestamp, want %d (%v)", i, stored.MaxTimestamp(), want, err)
		}
		all = rest
	}
}

// With produce.validation=headers records are not read. A batch that isn't what its header
// promises spoils look-ups by time for nobody, and what a header says of the largest
// timestamp is no more than a hint.
func TestTrustedHeaders(t *testing.T) {
	b := newBench(t)
	b.now = 10_000
	b.deps.TrustHeaders = true
	p := b.take(settings())
	record := []kafka.NewRecord{{Timestamp: 500, Value: []byte("v")}, {Timestamp: 600, Value: []byte("v")}}
	lying, err := kafka.Build(kafka.Gzip, record, func(b kafka.Batch) { b[kafka.BatchHeaderBytes] ^= 0xff })
	if err != nil {
		t.Fatal(err)
	}
	low := timed(kafka.Lz4, 500, 700, 600)
	low.SetMaxTimestamp(500, false)
	for _, batch := range []kafka.Batch{timed(kafka.None, 100), lying, timed(kafka.None, 550), low} {
		if r := appendBatch(p, batch); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for i, batch := range p.Pending(0, 1<<20).Batches {
		if batch.TimeKnown {
			t.Errorf("batch %d: the tier is told that its header is right", i)
		}
	}
	for at, want := range map[int64]int64{300: 3, 600: 5} {
		if found, ok, err := p.FindTime(t.Context(), at); err != nil || !ok || found.Offset != want {
			t.Errorf("time %d: %+v, %v, %v; want %d", at, found, ok, err, want)
		}
	}
	if newest, ok, err := p.MaxTime(t.Context()); err != nil || !ok || newest.Offset != 5 || newest.Time != 700 {
		t.Errorf("the newest: %+v, %v, %v", newest, ok, err)
	}
	for i, batch := range p.Pending(0, 1<<20).Batches { // all but one can be read, and were
		if batch.TimeKnown != (i != 1) {
			t.Errorf("batch %d: after it was read its time is known: %v", i, batch.TimeKnown)
		}
	}
}
