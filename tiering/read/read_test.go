package read

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/s3store"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// tiered gives a world with one partition that has some history, uploaded in parts.
func tiered(t testing.TB, cfg worldConfig, uploads, batches, records, size int) (*world, *tiertest.Source) {
	t.Helper()
	w := newWorld(t, cfg)
	s := w.Source(1, 0)
	rng := tiertest.Rand(42)
	stamp := int64(1)
	for range uploads {
		for range batches {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, records, size, stamp), id.Epoch(stamp/int64(3*records)), w.Now.Millis())
			stamp += int64(records)
		}
		w.Flush()
	}
	return w, s
}

func TestReadBounds(t *testing.T) {
	w, s := tiered(t, testConfig(), 2, 3, 4, 100)
	h := *s.Head()
	h.LogStart = 5
	if _, err := w.reader.Read(t.Context(), &h, s.ID, 4, 1000); !errors.Is(err, ErrBelowStart) {
		t.Errorf("below the start: %v", err)
	}
	if _, err := w.reader.Read(t.Context(), &h, s.ID, h.TieredEnd, 1000); !errors.Is(err, ErrBeyondTier) {
		t.Errorf("at the end: %v", err)
	}
	d, err := w.reader.Read(t.Context(), &h, s.ID, 5, -1)
	if err != nil || d.Next != 8 || kafka.Batch(d.Pieces[0]).BaseOffset() != 4 {
		t.Errorf("one batch at least: up to %d, %v", d.Next, err)
	}
	d.Release()
	r := New(w.Store, testConfig().reader, nil)
	r.Close()
	if _, err := r.Read(t.Context(), &h, s.ID, 5, 100); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// No read gives more than was asked for, but one batch.
func TestReadLimit(t *testing.T) {
	w, s := tiered(t, testConfig(), 3, 10, 2, 3000)
	h := s.Head()
	one := len(s.Mu.Data[0])
	for _, limit := range []int{1, one - 1, one, one + 1, 3 * one, 1 << 20} {
		d, err := w.reader.Read(t.Context(), h, s.ID, 3, limit)
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
	w.Inject(func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets.Add(1)
			<-release
		}
		return s3store.Fault{}
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			d, err := w.reader.Read(t.Context(), s.Head(), s.ID, 0, 1<<20)
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
	w.Inject(func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets.Add(1)
			loaded.Add(c.Length)
		}
		return s3store.Fault{}
	})
	w.CheckHistory(s, 0, 50<<10)
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
		w.Inject(func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpGet && gets.Add(1) == 1 {
				return s3store.Fault{Cut: true, CutAfter: 100} // then hangs
			}
			return s3store.Fault{}
		})
		begun := time.Now()
		w.CheckHistory(s, 0, 1<<20)
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
		w, s := tiered(t, cfg, 1, 250, 1, 60<<10)
		type request struct {
			key string
			at  int64
		}
		var mu sync.Mutex
		gets := map[request]int{}
		w.Inject(func(c s3store.Call) s3store.Fault {
			mu.Lock()
			gets[request{c.Key, c.Off}]++
			mu.Unlock()
			return s3store.Fault{Delay: 2 * time.Second}
		})
		w.CheckHistory(s, 0, 100<<10)
		hedges := 0
		for _, n := range gets {
			hedges += n - 1
		}
		if hedges < hedgeTokens || hedges > hedgeTokens+len(gets)/10 {
			t.Errorf("%d hedges of %d requests", hedges, len(gets))
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
		w.Inject(func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpGet && hang {
				hang = false
				return s3store.Fault{Delay: 24 * time.Hour}
			}
			return s3store.Fault{}
		})
		begun := time.Now()
		w.CheckHistory(s, 0, 1<<20)
		if d := time.Since(begun); d < cfg.reader.RequestTimeout || d > 2*cfg.reader.RequestTimeout {
			t.Errorf("the read took %v", d)
		}
	})
}

// A caller that leaves doesn't wait for the store, and the request ends with it.
func TestReadCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := tiered(t, testConfig(), 1, 4, 1, 20<<10)
		w.Inject(func(c s3store.Call) s3store.Fault { return s3store.Fault{Delay: time.Hour} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := w.reader.Read(ctx, s.Head(), s.ID, 0, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(begun); d != time.Second {
			t.Errorf("it took %v", d)
		}
		synctest.Wait()
		if n := w.reader.parts.memory.inUse(); n != 0 {
			t.Errorf("%d bytes are still held for nobody", n)
		}
	})
}

// A damaged object is never served: a typed error says which and where. Damage on
// the way is mended by reading again.
func TestCorruptObject(t *testing.T) {
	w, s := tiered(t, testConfig(), 1, 30, 1, 40<<10)
	h := s.Head()
	key := object.Key(h.Slices[0].Object)
	good := w.ObjectBytes(key)
	for _, at := range []int64{20, h.Slices[0].IndexAt / 2, h.Slices[0].IndexAt + 30} {
		bad := bytes.Clone(good)
		bad[at] ^= 4
		if err := w.Bucket.Put(t.Context(), key, bytes.NewReader(bad)); err != nil {
			t.Fatal(err)
		}
		r := New(w.Store, testConfig().reader, nil)
		var got error
		for o := int64(0); o < h.TieredEnd && got == nil; {
			d, err := r.Read(t.Context(), h, s.ID, o, 100<<10)
			got, o = err, d.Next
			d.Release()
		}
		var corrupt *object.CorruptError
		if !errors.As(got, &corrupt) || corrupt.Key != key || corrupt.At > at || corrupt.At < at-object.BlockBytes {
			t.Errorf("damage at %d: %v", at, got)
		}
		// The store mended, the same reader serves again.
		if err := w.Bucket.Put(t.Context(), key, bytes.NewReader(good)); err != nil {
			t.Fatal(err)
		}
		w.reader, r = r, w.reader
		w.CheckHistory(s, 0, 100<<10)
		w.reader, r = r, w.reader
		r.Close()
	}
	if err := w.Bucket.Delete(t.Context(), []string{key}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reader.Read(t.Context(), h, s.ID, 0, 100); !errors.Is(err, object.ErrGone) {
		t.Errorf("a lost object: %v", err)
	}
}

type fact struct {
	offset, time int64
	epoch        id.Epoch
}

// A stream that breaks off is an outage, not the object's end.
func TestCutStreamIsNoCorruption(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 1000, 1), 0, w.Now.Millis())
	w.Flush()
	w.Inject(func(c s3store.Call) s3store.Fault {
		return s3store.Fault{Cut: c.Op == s3store.OpGet, CutAfter: 40, CutError: fmt.Errorf("reset: %w", io.ErrUnexpectedEOF)}
	})
	var corrupt *object.CorruptError
	if _, err := w.reader.Read(t.Context(), s.Head(), s.ID, 0, 1<<20); err == nil || errors.As(err, &corrupt) || !s3store.Transient(err) {
		t.Errorf("read of a stream that is cut: %v", err)
	}
	w.Inject(nil)
	w.CheckHistory(s, 0, 1<<20)
}
