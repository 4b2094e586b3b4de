package tiering

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/kafka"
	"varve/metadata"
)

func gauge(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(g)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

// Promise 6: a partition that can't be tiered is named as long as that is so, and
// forgotten when it is read again or goes away.
func TestStuckPartitions(t *testing.T) {
	for name, end := range map[string]func(s *fakeSource){
		"read again": func(s *fakeSource) { s.mu.readErr = nil },
		"lost":       func(s *fakeSource) { s.mu.lost = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.upload.CheckEvery, cfg.upload.RetryMax, cfg.upload.MaxAge = time.Second, 20*time.Second, time.Millisecond
				w := newWorld(t, cfg)
				w.upload.deps.Clock = func() int64 { return time.Now().UnixMilli() }
				for i := range 2 {
					w.source(1, int32(i)).produce(randomBatch(t, newRand(1), kafka.None, 1, 100, 1), 0, time.Now().UnixMilli())
				}
				bad := w.sources[1]
				bad.mu.readErr = errInjected
				w.start()
				time.Sleep(stuckAfter / 2) // fake: half of the patience
				if l := w.upload.Stuck(); len(l) != 0 {
					t.Errorf("stuck at once: %+v", l)
				}
				time.Sleep(stuckAfter)
				l := w.upload.Stuck()
				if len(l) != 1 || l[0].Partition != bad.id || l[0].Err == nil || l[0].Bytes == 0 {
					t.Fatalf("stuck: %+v", l)
				}
				if n := gauge(t, w.upload.metrics.oldest); n < stuckAfter.Seconds() {
					t.Errorf("the oldest record waits for %v s", n)
				}
				bad.mu.Lock()
				end(bad)
				bad.mu.Unlock()
				time.Sleep(30 * time.Second)
				if l := w.upload.Stuck(); len(l) != 0 || gauge(t, w.upload.metrics.oldest) != 0 || gauge(t, w.upload.metrics.waiting) != 0 {
					t.Errorf("still stuck: %+v", l)
				}
				w.cancel()
				if n := len(w.upload.failed); n != 0 {
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
		rng := newRand(1)
		bad, good := w.source(1, 0), w.source(1, 1)
		produce := func(s *fakeSource) { s.produce(randomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.now.ms()) }
		for bad.Head().Manifest.Slices == 0 || len(bad.Head().Slices) < metadata.MaxHeadSlices {
			produce(bad)
			w.flush()
		}
		page := PageKey(bad.Head().Manifest.Root.Object)
		lost := w.objectBytes(page)
		if err := w.bucket.Delete(t.Context(), []string{page}); err != nil {
			t.Fatal(err)
		}
		w.reader.meta.clear()
		produce(bad)
		before := len(w.objectsIn(PrefixData))
		for range 100 {
			produce(good)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // fake
			if err := w.upload.Flush(ctx, good.id); err != nil {
				t.Fatalf("flush of another partition: %v", err)
			}
			cancel()
			w.now.add(w.upload.cfg.MaxAge.Milliseconds())
			time.Sleep(time.Minute) // fake
		}
		if n := len(w.objectsIn(PrefixData)) - before; n > 102 {
			t.Errorf("%d objects for 100 records of another partition", n)
		}
		if l := w.upload.Stuck(); len(l) != 1 || l[0].Partition != bad.id || !errors.Is(l[0].Err, ErrGone) {
			t.Errorf("stuck: %+v", l)
		}
		if err := w.bucket.Put(t.Context(), page, bytes.NewReader(lost)); err != nil {
			t.Fatal(err)
		}
		w.flush()
		w.checkHistory(bad, 0, 1000)
	})
}
