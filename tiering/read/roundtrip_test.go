package read

import (
	"fmt"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/tiering/tiertest"
)

// Promise 3: what was produced is read back byte for byte, whatever its sizes,
// codecs, epochs and partitions, from any offset and in reads of any size.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { roundTrip(t, seed) })
	}
}

func roundTrip(t *testing.T, seed uint64) {
	rng := tiertest.Rand(seed)
	cfg := testConfig()
	cfg.upload.BundleBytes, cfg.upload.SegmentBytes, cfg.upload.ObjectBytes = 1<<20, 512<<10, 2<<20
	w := newWorld(t, cfg)
	for i := range 1 + rng.IntN(6) {
		w.Source(byte(i%2+1), int32(i))
	}
	stamp := int64(1000)
	epochs := make([]id.Epoch, len(w.Sources))
	for range 1 + rng.IntN(5) {
		for range rng.IntN(60) {
			i := rng.IntN(len(w.Sources))
			if rng.IntN(10) == 0 {
				epochs[i]++
			}
			size := []int{1, 30, 1000, 40000, 200000}[rng.IntN(5)]
			n := 1 + rng.IntN(3)
			w.Sources[i].Produce(tiertest.RandomBatch(t, rng, kafka.Codec(rng.IntN(5)), n, rng.IntN(size)+1, stamp), epochs[i], w.Now.Millis())
			stamp += int64(n)
		}
		w.Flush()
	}
	for _, s := range w.Sources {
		h := s.Head()
		if n, _ := s.PendingBytes(); n != 0 {
			t.Fatalf("%d bytes wait after a flush", n)
		}
		for range 5 {
			if h.TieredEnd > 0 {
				w.CheckHistory(s, rng.Int64N(h.TieredEnd), 1+rng.IntN(300000))
			}
		}
		w.CheckHistory(s, 0, 1)
		w.CheckHistory(s, 0, 64<<20)
	}
}
