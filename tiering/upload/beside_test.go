package upload

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/tiertest"
)

// small makes each pass take about one batch.
func small() worldConfig {
	cfg := testConfig()
	cfg.upload.SegmentBytes, cfg.upload.BundleBytes, cfg.upload.ObjectBytes, cfg.upload.RoundBytes = 1, 1, 10_000, 1
	return cfg
}

// While a pass is uploaded the next one is loaded, and none but the next.
func TestNextPassIsLoadedBesideUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small())
		s := w.Source(1, 0)
		for i := range 4 {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(uint64(i)), kafka.None, 1, 9000, 1), 0, w.Now.Millis())
		}
		w.Inject(func(c s3store.Call) (f s3store.Fault) {
			if c.Op == s3store.OpPutIfAbsent {
				f.Delay = time.Minute // fake
			}
			return f
		})
		go w.upload.drain(t.Context())
		for n := range int64(4) {
			synctest.Wait()
			if loaded := s.Loaded(); loaded != min(n+2, 4) || s.Head().TieredEnd != n {
				t.Fatalf("%d batches loaded and %d committed, want %d and %d", loaded, s.Head().TieredEnd, min(n+2, 4), n)
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		w.Inject(nil)
		w.CheckHistory(s, 0, 1<<20)
		if n := len(s.Head().Slices); n != 4 || s.Head().TieredEnd != 4 {
			t.Errorf("%d slices up to %d", n, s.Head().TieredEnd)
		}
	})
}

// What was loaded to continue an upload that was not committed is not uploaded; other
// partitions of the same pass are.
func TestNothingContinuesWhatWasNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small()
		cfg.upload.RoundBytes = 2 * 20_000
		w := newWorld(t, cfg)
		var sources []*tiertest.Source
		for i := range 2 {
			s := w.Source(1, int32(i))
			for range 3 {
				s.Produce(tiertest.RandomBatch(t, tiertest.Rand(uint64(i)), kafka.None, 1, 9000, 1), 0, w.Now.Millis())
			}
			sources = append(sources, s)
		}
		var puts atomic.Int64
		w.Inject(func(c s3store.Call) (f s3store.Fault) {
			if c.Op == s3store.OpPutIfAbsent {
				puts.Add(1)
				f.Delay = time.Minute // fake
			}
			return f
		})
		go w.upload.drain(t.Context())
		synctest.Wait()
		// The first pass has 2 and 1 batches, the second 1 and 1.
		if a, b := sources[0].Loaded(), sources[1].Loaded(); a != 3 || b != 2 {
			t.Fatalf("%d and %d batches are loaded", a, b)
		}
		thief := schema.Head{Ownership: schema.Ownership{Owner: 99, Epoch: 1}}
		if _, err := w.Heads.Write(t.Context(), nil, schema.StoredHead{Partition: sources[0].ID}.Ops(&thief)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		w.Inject(nil)
		if h := sources[0].Head(); h.TieredEnd != 0 {
			t.Errorf("what another owns is committed up to %d", h.TieredEnd)
		}
		if h := sources[1].Head(); h.TieredEnd != 3 {
			t.Errorf("the other partition is committed up to %d", h.TieredEnd)
		}
		w.CheckHistory(sources[1], 0, 1<<20)
		if n := puts.Load(); n != 2+3 {
			t.Errorf("%d objects were put, want two of the lost partition and three of the other", n)
		}
		if n := w.IDs.Floor(); n != schema.FirstTimed+5 {
			t.Errorf("floor is %d, want %d", n, uint64(schema.FirstTimed+5))
		}
	})
}
