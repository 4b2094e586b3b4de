package read

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"varve/kafka"
	"varve/tiering/tiertest"
)

// What a reader is done with is given up first, what was loaded ahead last, and nothing is
// loaded ahead that would push out what is expected to be used.
func TestOrderOfGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t.Context(), 8, func(f func()) { go f() }, func(int) {}, func(int) {}, func(int) bool { return false }, func(uint8, bool) {})
		at := func(n int) cacheKey { return cacheKey{kind: kindChunk, at: int64(n)} }
		load := func(context.Context) (int, int64, error) { return 0, 1, nil }
		use := func(n int) {
			if _, err := c.get(t.Context(), at(n), nil, load); err != nil {
				t.Fatal(err)
			}
		}
		kept := func(n int) bool { return c.mu.items[at(n)] != nil }
		for n := range 3 {
			c.begin(at(n), load)
		}
		synctest.Wait()
		for n := 10; n < 15; n++ {
			use(n)
		}
		if !c.crowded(1) {
			t.Error("all of the cache is expected to be used, and more may be loaded ahead")
		}
		c.finish(at(12))
		c.finish(at(13))
		use(13)
		use(20)
		if kept(12) || !kept(10) || !kept(13) {
			t.Error("another value was given up before the one that its reader was done with")
		}
		for n := 21; n < 30; n++ {
			use(n)
		}
		if !kept(0) || !kept(1) || !kept(2) || kept(20) {
			t.Error("a value that was loaded ahead was given up before one that was used")
		}
		time.Sleep(expectedFor + time.Second)
		if c.crowded(1) {
			t.Errorf("after %v what was loaded ahead keeps others from it", expectedFor)
		}
		use(30)
		if c.mu.cost != 8 || len(c.mu.items) != 8 || c.mu.stages[stageDone].cost != 7 {
			t.Errorf("%d values cost %d, readers are done with %d", len(c.mu.items), c.mu.cost, c.mu.stages[stageDone].cost)
		}
	})
}

// Sequential readers of many partitions fetch little more than they read, in a memory with
// room for two chunks and a half for each.
func TestSequentialReadersFetchOnce(t *testing.T) {
	const partitions = 6
	cfg := testConfig()
	cfg.upload.Compress = false
	cfg.reader.ChunkBytes, cfg.reader.MemoryBytes, cfg.reader.ReadaheadBytes = 1<<20, 16<<20, 8<<20
	w := newWorld(t, cfg)
	rng := tiertest.Rand(1)
	for i := range int32(partitions) {
		s := w.Source(1, i)
		for range 7 * cfg.reader.ChunkBytes / 64000 {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 64000, 1), 0, w.Now.Millis())
		}
	}
	w.Flush()
	next, left := make([]int64, partitions), partitions
	for left > 0 {
		var answer []Data
		left = 0
		for i, s := range w.Sources {
			h := s.Head()
			if next[i] >= h.TieredEnd {
				continue
			}
			left++
			d, err := w.reader.Read(t.Context(), h, s.ID, next[i], cfg.reader.ChunkBytes/4)
			if err != nil {
				t.Fatal(err)
			}
			next[i] = d.Next
			answer = append(answer, d)
		}
		for i := range answer {
			answer[i].Release()
		}
		time.Sleep(time.Millisecond) // the client reads
	}
	fetched, served := counted(t, w.reader.metrics.bytes), counted(t, w.reader.metrics.served)
	t.Logf("%.0f bytes were fetched, %.0f were read", fetched, served)
	if fetched > 1.3*served {
		t.Errorf("%.1f times what was read was fetched", fetched/served)
	}
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
