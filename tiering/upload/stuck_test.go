package upload

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/object"
	"varve/tiering/read"
	"varve/tiering/tiertest"
)

// gauges reads what the uploader's collector tells now, by name after the prefix.
func gauges(t *testing.T, u *Uploader) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(uploadState{u})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		out[strings.TrimPrefix(f.GetName(), "varve_tier_upload_")] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return out
}

// What waits is reported as of now: also while a pass stands still in a
// put that an outage holds up, and for what no one has planned yet.
func TestWaitingMovesInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.upload.CheckEvery, cfg.upload.MaxAge = time.Second, time.Millisecond
		w := newWorld(t, cfg)
		w.upload.deps.Clock = func() int64 { return time.Now().UnixMilli() }
		s := w.Source(1, 0)
		produce := func() {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 100, 1), 0, time.Now().UnixMilli())
		}
		var away atomic.Bool
		away.Store(true)
		w.Inject(func(s3store.Call) (f s3store.Fault) {
			if away.Load() {
				f.Before = tiertest.ErrInjected
			}
			return f
		})
		produce()
		w.Start()
		var bytes, oldest float64
		for range 5 {
			time.Sleep(20 * time.Second) // fake
			produce()
			g := gauges(t, w.upload)
			if g["waiting_bytes"] <= bytes || g["oldest_seconds"] < oldest+19 {
				t.Fatalf("after 20 s more, %v bytes and %v s became %v", bytes, oldest, g)
			}
			bytes, oldest = g["waiting_bytes"], g["oldest_seconds"]
		}
		away.Store(false)
		time.Sleep(time.Minute) // fake
		if g := gauges(t, w.upload); g["waiting_bytes"] != 0 || g["oldest_seconds"] != 0 || g["last_success_timestamp_seconds"] == 0 {
			t.Errorf("after the outage: %v", g)
		}
		w.Cancel()
	})
}

// Promise 6: a partition that can't be tiered is named as long as that is so, and
// forgotten when it is read again or goes away.
func TestStuckPartitions(t *testing.T) {
	for name, end := range map[string]func(s *tiertest.Source){
		"read again": func(s *tiertest.Source) { s.Mu.ReadErr = nil },
		"lost":       func(s *tiertest.Source) { s.Mu.Lost = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.upload.CheckEvery, cfg.upload.RetryMax, cfg.upload.MaxAge = time.Second, 20*time.Second, time.Millisecond
				w := newWorld(t, cfg)
				w.upload.deps.Clock = func() int64 { return time.Now().UnixMilli() }
				for i := range 2 {
					w.Source(1, int32(i)).Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 100, 1), 0, time.Now().UnixMilli())
				}
				bad := w.Sources[1]
				bad.Mu.ReadErr = tiertest.ErrInjected
				w.Start()
				time.Sleep(stuckAfter / 2) // fake: half of the patience
				if l := w.upload.Stuck(); len(l) != 0 {
					t.Errorf("stuck at once: %+v", l)
				}
				time.Sleep(stuckAfter)
				l := w.upload.Stuck()
				if len(l) != 1 || l[0].Partition != bad.ID || l[0].Err == nil || l[0].Bytes == 0 {
					t.Fatalf("stuck: %+v", l)
				}
				if n := gauges(t, w.upload)["oldest_seconds"]; n < stuckAfter.Seconds() {
					t.Errorf("the oldest record waits for %v s", n)
				}
				bad.Mu.Lock()
				end(bad)
				bad.Mu.Unlock()
				time.Sleep(30 * time.Second)
				if l, g := w.upload.Stuck(), gauges(t, w.upload); len(l) != 0 || g["oldest_seconds"] != 0 || g["waiting_bytes"] != 0 {
					t.Errorf("still stuck: %+v", l)
				}
				w.Cancel()
				if n := len(w.upload.failed.by); n != 0 {
					t.Errorf("%d failures are kept", n)
				}
			})
		})
	}
}

// Nor does a manifest that can't be read hold up any other partition, and what can't be
// committed isn't uploaded again and again meanwhile.
func TestUnreadableManifestHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		rng := tiertest.Rand(1)
		bad, good := w.Source(1, 0), w.Source(1, 1)
		produce := func(s *tiertest.Source) {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.Now.Millis())
		}
		for bad.Head().Manifest.Slices == 0 || len(bad.Head().Slices) < schema.MaxHeadSlices {
			produce(bad)
			w.Flush()
		}
		page := object.PageKey(bad.Head().Manifest.Root.Object)
		lost := w.ObjectBytes(page)
		if err := w.Bucket.Delete(t.Context(), []string{page}); err != nil {
			t.Fatal(err)
		}
		cold := read.New(w.Store, testConfig().reader, nil)
		defer cold.Close()
		w.upload.deps.Pages = cold
		produce(bad)
		before := len(w.ObjectsIn(object.PrefixData))
		for range 100 {
			produce(good)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // fake
			if err := w.upload.Flush(ctx, good.ID); err != nil {
				t.Fatalf("flush of another partition: %v", err)
			}
			cancel()
			w.Now.Add(w.upload.cfg.MaxAge.Milliseconds())
			time.Sleep(time.Minute) // fake
		}
		if n := len(w.ObjectsIn(object.PrefixData)) - before; n > 102 {
			t.Errorf("%d objects for 100 records of another partition", n)
		}
		if l := w.upload.Stuck(); len(l) != 1 || l[0].Partition != bad.ID || !errors.Is(l[0].Err, object.ErrGone) {
			t.Errorf("stuck: %+v", l)
		}
		if err := w.Bucket.Put(t.Context(), page, bytes.NewReader(lost)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		w.CheckHistory(bad, 0, 1000)
	})
}
