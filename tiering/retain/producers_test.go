package retain

import (
	"errors"
	"testing"

	"varve/kafka"
	"varve/s3store"
	"varve/tiering/tiertest"
)

// While the tier can't be asked who its producers are, records go and the slice
// stays.
func TestRetentionGoesOnWithoutProducers(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 50, w.Now.Millis()), 0, w.Now.Millis())
	w.Flush()
	keep := Limits{-1, 0}
	k := w.retention(&keep, nil)
	w.Inject(func(s3store.Call) s3store.Fault { return s3store.Fault{Before: errors.New("away")} })
	k.cfg.StepTimeout = 1
	k.Pass(t.Context())
	if h := s.Head(); h.LogStart != 1 || len(h.Slices) != 1 {
		t.Fatalf("head %+v", h)
	}
	w.Inject(nil)
	k.cfg.StepTimeout = DefaultConfig().StepTimeout
	k.Pass(t.Context())
	if h := s.Head(); len(h.Slices) != 0 {
		t.Fatalf("head %+v", h)
	}
}

// TieredBytes is what can be read, by whole slices, whatever was cut and folded.
func TestTieredBytesAreExact(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	keep := Limits{-1, -1}
	k := w.retention(&keep, nil)
	rng := tiertest.Rand(5)
	for i := range 400 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1+rng.IntN(3), rng.IntN(100), 1), 0, w.Now.Millis())
		w.Flush()
		if h := s.Head(); rng.IntN(9) == 0 {
			if err := k.DeleteTo(t.Context(), s, h.LogStart+rng.Int64N((h.TieredEnd-h.LogStart)/4+1)); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(20) == 0 {
			k.Pass(t.Context())
		}
		h := s.Head()
		if want := int64(len(s.History(h.LogStart))); h.TieredBytes() != want {
			t.Fatalf("round %d, %d to %d: %d bytes, want %d", i, h.LogStart, h.TieredEnd, h.TieredBytes(), want)
		}
	}
	if s.Head().Manifest.Slices == 0 {
		t.Fatal("nothing was folded")
	}
}
