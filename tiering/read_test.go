package tiering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

// tiered gives a world with one partition that has some history, uploaded in parts.
func tiered(t testing.TB, cfg worldConfig, uploads, batches, records, size int) (*world, *fakeSource) {
	t.Helper()
	w := newWorld(t, cfg)
	s := w.source(1, 0)
	rng := newRand(42)
	stamp := int64(1)
	for range uploads {
		for range batches {
			s.produce(randomBatch(t, rng, kafka.Lz4, records, size, stamp), id.Epoch(stamp/int64(3*records)), w.now.ms())
			stamp += int64(records)
		}
		w.flush()
	}
	return w, s
}

func TestReadBounds(t *testing.T) {
	w, s := tiered(t, testConfig(), 2, 3, 4, 100)
	h := *s.Head()
	h.LogStart = 5
	if _, err := w.reader.Read(t.Context(), &h, s.id, 4, 1000); !errors.Is(err, ErrBelowStart) {
		t.Errorf("below the start: %v", err)
	}
	if _, err := w.reader.Read(t.Context(), &h, s.id, h.TieredEnd, 1000); !errors.Is(err, ErrBeyondTier) {
		t.Errorf("at the end: %v", err)
	}
	d, err := w.reader.Read(t.Context(), &h, s.id, 5, -1)
	if err != nil || d.Next != 8 || kafka.Batch(d.Pieces[0]).BaseOffset() != 4 {
		t.Errorf("one batch at least: up to %d, %v", d.Next, err)
	}
	d.Release()
	r := NewReader(w.store, testConfig().reader, nil)
	r.Close()
	if _, err := r.Read(t.Context(), &h, s.id, 5, 100); !errors.Is(err, ErrReaderClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// No read gives more than was asked for, but one batch.
func TestReadLimit(t *testing.T) {
	w, s := tiered(t, testConfig(), 3, 10, 2, 3000)
	h := s.Head()
	one := len(s.mu.data[0])
	for _, limit := range []int{1, one - 1, one, one + 1, 3 * one, 1 << 20} {
		d, err := w.reader.Read(t.Context(), h, s.id, 3, limit)
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, p := range d.Pieces {
			for len(p) > 0 {
				_, rest, err := kafka.Next(p)
				if err != nil {
					t.Fatal(err)
				}
				whole++
				p = rest
			}
		}
		if d.Bytes > limit && whole != 1 || whole == 0 {
			t.Errorf("%d batches of %d bytes for a limit of %d", whole, d.Bytes, limit)
		}
		d.Release()
	}
}

// Many readers of one place cost one request, and a sequential one is read ahead.
func TestSingleFlight(t *testing.T) {
	cfg := testConfig()
	cfg.reader.HedgeAfter = 0
	w, s := tiered(t, cfg, 1, 4, 1, 20<<10)
	var gets atomic.Int64
	release := make(chan struct{})
	w.faults = func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets.Add(1)
			<-release
		}
		return s3store.Fault{}
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			d, err := w.reader.Read(t.Context(), s.Head(), s.id, 0, 1<<20)
			if err != nil {
				t.Error(err)
			}
			d.Release()
		})
	}
	close(release)
	wg.Wait()
	if n := gets.Load(); n != 1 {
		t.Errorf("50 readers of one small slice took %d GETs, want 1 for index and blocks", n)
	}
}

// Replay makes requests by chunks, not by blocks or batches, and loads nothing twice.
func TestReplayRequests(t *testing.T) {
	cfg := testConfig()
	cfg.upload.SegmentBytes, cfg.upload.ObjectBytes = 1<<20, 64<<20
	cfg.reader.HedgeAfter = 0
	w, s := tiered(t, cfg, 2, 100, 1, 60<<10)
	var gets, loaded atomic.Int64
	w.faults = func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets.Add(1)
			loaded.Add(c.Length)
		}
		return s3store.Fault{}
	}
	w.checkHistory(s, 0, 50<<10)
	size := int64(0)
	for _, o := range s.Head().Slices {
		size += o.Bytes
	}
	chunks := size/int64(cfg.reader.ChunkBytes) + 2*2 + 2
	if gets.Load() > chunks {
		t.Errorf("%d GETs of %d bytes for %d bytes in %d chunks", gets.Load(), loaded.Load(), size, chunks)
	}
}

// A second request overtakes one that hangs.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := tiered(t, testConfig(), 1, 4, 1, 20<<10)
		var gets atomic.Int64
		w.faults = func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpGet && gets.Add(1) == 1 {
				return s3store.Fault{Cut: true, CutAfter: 100} // then hangs
			}
			return s3store.Fault{}
		}
		begun := time.Now()
		w.checkHistory(s, 0, 1<<20)
		if d := time.Since(begun); d < w.reader.cfg.HedgeAfter || d > 2*w.reader.cfg.HedgeAfter {
			t.Errorf("the read took %v, a hedge comes after %v", d, w.reader.cfg.HedgeAfter)
		}
		if gets.Load() != 2 {
			t.Errorf("%d GETs", gets.Load())
		}
	})
}

// When the whole store is slow, second requests stay few.
func TestHedgesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.reader.ReadaheadBytes = 0
		cfg.upload.SegmentBytes = 1 << 20
		w, s := tiered(t, cfg, 1, 800, 1, 60<<10)
		var gets atomic.Int64
		w.faults = func(c s3store.Call) s3store.Fault {
			gets.Add(1)
			return s3store.Fault{Delay: 2 * time.Second}
		}
		w.checkHistory(s, 0, 100<<10)
		chunks := s.Head().TieredBytes() / int64(cfg.reader.ChunkBytes)
		if n := gets.Load(); n > chunks*11/10+hedgeTokens+3 {
			t.Errorf("%d GETs for %d chunks", n, chunks)
		}
	})
}

// A request that hangs ends at its deadline, and the next attempt serves.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.reader.HedgeAfter = 0
		w, s := tiered(t, cfg, 1, 4, 1, 20<<10)
		hang := true
		w.faults = func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpGet && hang {
				hang = false
				return s3store.Fault{Delay: 24 * time.Hour}
			}
			return s3store.Fault{}
		}
		begun := time.Now()
		w.checkHistory(s, 0, 1<<20)
		if d := time.Since(begun); d < cfg.reader.RequestTimeout || d > 2*cfg.reader.RequestTimeout {
			t.Errorf("the read took %v", d)
		}
	})
}

// A caller that leaves doesn't wait for the store, and the request ends with it.
func TestReadCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := tiered(t, testConfig(), 1, 4, 1, 20<<10)
		w.faults = func(c s3store.Call) s3store.Fault { return s3store.Fault{Delay: time.Hour} }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := w.reader.Read(ctx, s.Head(), s.id, 0, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(begun); d != time.Second {
			t.Errorf("it took %v", d)
		}
		synctest.Wait()
		if n := w.reader.memory.inUse(); n != 0 {
			t.Errorf("%d bytes are still held for nobody", n)
		}
	})
}

func (w *world) objectBytes(key string) []byte {
	w.t.Helper()
	body, err := w.bucket.Get(context.Background(), key, 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// A damaged object is never served: a typed error says which and where. Damage on
// the way is mended by reading again.
func TestCorruptObject(t *testing.T) {
	w, s := tiered(t, testConfig(), 1, 30, 1, 40<<10)
	h := s.Head()
	key := ObjectKey(h.Slices[0].Object)
	good := w.objectBytes(key)
	for _, at := range []int64{20, h.Slices[0].IndexAt / 2, h.Slices[0].IndexAt + 30} {
		bad := bytes.Clone(good)
		bad[at] ^= 4
		if err := w.bucket.Put(t.Context(), key, bytes.NewReader(bad)); err != nil {
			t.Fatal(err)
		}
		r := NewReader(w.store, testConfig().reader, nil)
		var got error
		for o := int64(0); o < h.TieredEnd && got == nil; {
			d, err := r.Read(t.Context(), h, s.id, o, 100<<10)
			got, o = err, d.Next
			d.Release()
		}
		var corrupt *CorruptError
		if !errors.As(got, &corrupt) || corrupt.Key != key || corrupt.At > at || corrupt.At < at-BlockBytes {
			t.Errorf("damage at %d: %v", at, got)
		}
		// The store mended, the same reader serves again.
		if err := w.bucket.Put(t.Context(), key, bytes.NewReader(good)); err != nil {
			t.Fatal(err)
		}
		w.reader, r = r, w.reader
		w.checkHistory(s, 0, 100<<10)
		w.reader, r = r, w.reader
		r.Close()
	}
	if err := w.bucket.Delete(t.Context(), []string{key}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reader.Read(t.Context(), h, s.id, 0, 100); !errors.Is(err, ErrGone) {
		t.Errorf("a lost object: %v", err)
	}
}

// The budget holds however many read at once and however slowly they release, and
// everybody is served in the end.
func TestMemoryBudget(t *testing.T) {
	cfg := testConfig()
	cfg.upload.SegmentBytes = 1 << 20
	cfg.reader.MemoryBytes, cfg.reader.ReadaheadBytes = 2<<20, 1<<20
	w := newWorld(t, cfg)
	rng := newRand(5)
	for i := range 6 {
		s := w.source(1, int32(i))
		for range 60 {
			s.produce(randomBatch(t, rng, kafka.Codec(i%2*3), 1, 50<<10, 1), 0, w.now.ms())
		}
	}
	w.flush()
	var most atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			s := w.sources[i%len(w.sources)]
			var all []byte
			for o := int64(0); o < s.Head().TieredEnd; {
				d, err := w.reader.Read(t.Context(), s.Head(), s.id, o, 300<<10)
				if err != nil {
					t.Error(err)
					return
				}
				for n := w.reader.memory.inUse(); ; {
					if was := most.Load(); n <= was || most.CompareAndSwap(was, n) {
						break
					}
				}
				for _, p := range d.Pieces {
					all = append(all, p...)
				}
				o = d.Next
				d.Release()
			}
			if !bytes.Equal(all, s.history(0)) {
				t.Errorf("reader %d got something else", i)
			}
		})
	}
	wg.Wait()
	// Decompressed blocks may go beyond: one for each reader.
	if limit := cfg.reader.MemoryBytes + 24*(BlockBytes+64<<10); most.Load() > limit {
		t.Errorf("%d bytes were held, the budget is %d", most.Load(), cfg.reader.MemoryBytes)
	}
}

// Searches by time, epoch and aborted transaction find what looking at every
// record finds, through head and manifest, wherever the log starts.
func TestSearches(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { searches(t, seed) })
	}
}

type fact struct {
	offset, time int64
	epoch        id.Epoch
}

func searches(t *testing.T, seed uint64) {
	rng := newRand(seed)
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	var facts []fact
	epoch := id.Epoch(2)
	for range 80 + rng.IntN(120) {
		for range 1 + rng.IntN(3) {
			if rng.IntN(6) == 0 {
				epoch += id.Epoch(1 + rng.IntN(3))
			}
			b := randomBatch(t, rng, kafka.Codec(rng.IntN(5)), 1+rng.IntN(4), 20, 1000+rng.Int64N(5000))
			s.produce(b, epoch, w.now.ms())
			err := b.Records(1<<20, func(r *kafka.Record) error {
				facts = append(facts, fact{r.Offset, r.Timestamp, epoch})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if from := rng.Int64N(s.mu.next); rng.IntN(3) == 0 {
			s.mu.aborted = append(s.mu.aborted, Aborted{ProducerID: rng.Int64N(5), First: from, Last: from + rng.Int64N(s.mu.next-from)})
		}
		w.flush()
	}
	h := *s.Head()
	h.LogStart = rng.Int64N(h.TieredEnd)
	facts = slices.DeleteFunc(facts, func(f fact) bool { return f.offset < h.LogStart })
	ctx, p := t.Context(), s.id
	for range 50 {
		at := 900 + rng.Int64N(5300)
		got, ok, err := w.reader.FindTime(ctx, &h, p, at)
		i := slices.IndexFunc(facts, func(f fact) bool { return f.time >= at })
		if err != nil || ok != (i >= 0) || ok && got != (Stamp{facts[i].offset, facts[i].time, facts[i].epoch}) {
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
		want := map[Aborted]bool{}
		for _, a := range s.mu.aborted {
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
	s := w.source(1, 0)
	if got, err := w.reader.Producers(t.Context(), s.Head(), s.id); err != nil || got != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	for i := range 3 {
		for range 9 {
			s.produce(randomBatch(t, newRand(1), kafka.None, 1, 60<<10, 1), 0, w.now.ms())
		}
		s.mu.producers = []Producer{{ID: int64(i), Epoch: 1, Timestamp: 5, Batches: []ProducerBatch{{1, 2, 3}}}}
		w.flush()
		got, err := w.reader.Producers(t.Context(), s.Head(), s.id)
		if err != nil || len(got) != 1 || got[0].ID != int64(i) || got[0].Batches[0].Base != 3 {
			t.Errorf("after upload %d: %+v, %v", i, got, err)
		}
	}
}

func benchWorld(b *testing.B, codec kafka.Codec) (*world, *fakeSource) {
	cfg := worldConfig{DefaultUploadConfig(), DefaultReaderConfig()}
	w := newWorld(b, cfg)
	s := w.source(1, 0)
	rng := newRand(1)
	var some []kafka.Batch
	for range 16 {
		some = append(some, randomBatch(b, rng, codec, 64, 1000, 1))
	}
	for i := range 1024 {
		s.produce(bytes.Clone(some[i%len(some)]), 0, w.now.ms())
	}
	w.flush()
	return w, s
}

func readThrough(b *testing.B, r *Reader, s *fakeSource) {
	h := s.Head()
	for o := int64(0); o < h.TieredEnd; {
		d, err := r.Read(b.Context(), h, s.id, o, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		o = d.Next
		d.Release()
	}
}

// BenchmarkRead reads 64 MiB of blocks that are stored as they are (snappy) or
// compressed by the tier (none), with nothing or all of it cached.
func BenchmarkRead(b *testing.B) {
	for _, codec := range []kafka.Codec{kafka.None, kafka.Snappy} {
		w, s := benchWorld(b, codec)
		b.Run("cold/"+codec.String(), func(b *testing.B) {
			b.SetBytes(s.Head().TieredBytes())
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(w.store, DefaultReaderConfig(), nil)
				readThrough(b, r, s)
				r.Close()
			}
		})
		b.Run("cached/"+codec.String(), func(b *testing.B) {
			b.SetBytes(s.Head().TieredBytes())
			b.ReportAllocs()
			for b.Loop() {
				readThrough(b, w.reader, s)
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for name, compress := range map[string]bool{"raw": false, "zstd": true} {
		b.Run(name, func(b *testing.B) {
			w, s := benchWorld(b, kafka.None)
			w.cancel()
			w.upload.cfg.Compress = compress
			w.upload.pace.SetLimit(rate.Inf)
			s.mu.head = &metadata.Head{}
			run := s.Pending(64 << 20)
			p := &part{take: &take{source: s}, batches: run.Batches}
			var size int64
			for _, x := range run.Batches {
				size += int64(x.Size)
			}
			p.bytes = size
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				tasks := []task{{parts: []*part{p}, bytes: size}}
				if err := w.upload.load(b.Context(), tasks); err != nil {
					b.Fatal(err)
				}
				o, err := w.upload.build(b.Context(), &tasks[0])
				if err != nil || p.err != nil {
					b.Fatal(err, p.err)
				}
				o.finish(metadata.Object{Writer: 1, Seq: 1})
			}
		})
	}
}

// Promise 9: clients that don't take their answers leave memory for others, however many
// they are, and who does take them isn't slowed down to single batches by a few.
func TestSlowClientsLeaveMemoryForOthers(t *testing.T) {
	cfg := testConfig()
	cfg.reader.MemoryBytes, cfg.reader.ChunkBytes, cfg.reader.ReadaheadBytes = 8<<20, 512<<10, 0
	cfg.reader.MemoryWait = time.Second
	cfg.upload.Compress = false
	w := newWorld(t, cfg)
	rng := newRand(1)
	slow, other := w.source(1, 0), w.source(1, 1)
	for range 400 {
		slow.produce(randomBatch(t, rng, kafka.None, 1, 40<<10, 1), 0, w.now.ms())
	}
	for range 50 {
		other.produce(randomBatch(t, rng, kafka.None, 1, 40<<10, 1), 0, w.now.ms())
	}
	w.flush()
	var lent []Data
	for client := range 40 {
		share := w.reader.Share()
		if client == 1 && share < int(cfg.reader.MemoryBytes)/40 {
			t.Errorf("one slow client leaves a share of %d", share)
		}
		for i := range int64(32) { // so many partitions, each in a chunk of its own
			if int(i)*LeastShare > share {
				break
			}
			d, err := w.reader.Read(t.Context(), slow.Head(), slow.id, i*12, share/32)
			if err != nil {
				t.Fatalf("slow client %d: %v", client, err)
			}
			lent = append(lent, d)
		}
		d, err := w.reader.Read(t.Context(), other.Head(), other.id, 0, w.reader.Share())
		if err != nil {
			t.Fatalf("another reader beside %d slow clients: %v, %d bytes in use", client+1, err, w.reader.memory.inUse())
		}
		d.Release()
	}
	w.checkHistory(other, 0, 1<<20)
	for i := range lent {
		if i%2 == 0 {
			lent[i].Release()
		}
	}
	w.checkHistory(slow, 0, 1<<20)
	for i := range lent {
		if i%2 == 1 {
			lent[i].Release()
		}
	}
	if n := w.reader.memory.mu.lent; n != 0 {
		t.Errorf("%d bytes are counted as lent", n)
	}
}

// A stream that breaks off is an outage, not the object's end.
func TestCutStreamIsNoCorruption(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 1000, 1), 0, w.now.ms())
	w.flush()
	w.faults = func(c s3store.Call) s3store.Fault {
		return s3store.Fault{Cut: c.Op == s3store.OpGet, CutAfter: 40, CutError: fmt.Errorf("reset: %w", io.ErrUnexpectedEOF)}
	}
	var corrupt *CorruptError
	if _, err := w.reader.Read(t.Context(), s.Head(), s.id, 0, 1<<20); err == nil || errors.As(err, &corrupt) || !s3store.Transient(err) {
		t.Errorf("read of a stream that is cut: %v", err)
	}
	w.faults = nil
	w.checkHistory(s, 0, 1<<20)
}
