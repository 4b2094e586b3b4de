package retain

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

func TestCutter(t *testing.T) {
	stamped := func(times ...int64) (list []schema.Slice) {
		for i, ms := range times {
			list = append(list, schema.Slice{Object: schema.Object{Seq: schema.FirstTimed}, Base: int64(i) * 10, End: int64(i)*10 + 10, MaxTime: ms, Bytes: 100})
		}
		return list
	}
	for name, c := range map[string]struct {
		keep  Limits
		times []int64
		start int64
		want  int64
	}{
		"without limit":                {Limits{-1, -1}, []int64{1, 2, 3}, 0, 0},
		"exactly as old as allowed":    {Limits{100, -1}, []int64{900, 950}, 0, 0},
		"one ms older":                 {Limits{100, -1}, []int64{899, 950}, 0, 10},
		"all too old":                  {Limits{100, -1}, []int64{1, 2, 3}, 0, 30},
		"an old one behind a new one":  {Limits{100, -1}, []int64{1, 950, 2}, 0, 10},
		"nothing is kept":              {Limits{0, -1}, []int64{998, 999, 1000}, 0, 20},
		"from the future":              {Limits{100, -1}, []int64{5000, 1}, 0, 0},
		"no timestamps":                {Limits{100, -1}, []int64{-1, -1, -1}, 0, 10},
		"no timestamp before an old":   {Limits{100, -1}, []int64{-1, 1, 950}, 0, 20},
		"an old one before none":       {Limits{100, -1}, []int64{1, -1, 1}, 0, 10},
		"size exactly":                 {Limits{-1, 300}, []int64{1, 2, 3}, 0, 0},
		"size keeps at least":          {Limits{-1, 201}, []int64{1, 2, 3}, 0, 0},
		"size one over":                {Limits{-1, 200}, []int64{1, 2, 3}, 0, 10},
		"size zero":                    {Limits{-1, 0}, []int64{1, 2, 3}, 0, 30},
		"size, no timestamps":          {Limits{-1, 100}, []int64{-1, -1, -1}, 0, 20},
		"size beyond one without":      {Limits{100, 100}, []int64{-1, -1, -1}, 0, 20},
		"either suffices":              {Limits{100, 200}, []int64{950, 1, 950}, 0, 20},
		"what is gone doesn't count":   {Limits{-1, 200}, []int64{1, 2, 3, 4}, 15, 20},
		"within a slice that may stay": {Limits{-1, 300}, []int64{1, 2, 3}, 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			list := stamped(c.times...)
			// The first object was written long ago, the others just now.
			written := func(s *schema.Slice) (int64, error) { return min(1000, 100*s.End-950), nil }
			k := newCutter(c.keep, c.start, above(list, c.start), 1000, written)
			if _, err := k.slices(list); err != nil || k.start != c.want {
				t.Errorf("start is %d, want %d, %v", k.start, c.want, err)
			}
		})
	}
}

// dated is a store whose data objects have been written at some time.
type dated struct{ s3store.Store }

func (d dated) Head(ctx context.Context, key string) (s3store.Object, error) {
	o, page, ok := object.ParseKey(key)
	if page || !ok {
		return s3store.Object{}, fmt.Errorf("asked for %q", key)
	}
	return s3store.Object{Key: key, Modified: time.UnixMilli(writtenAt(o))}, nil
}

func writtenAt(o schema.Object) int64 { return int64(o.Seq) % 50_000 }

// However a manifest is shaped, cutting it is cutting the plain list.
func TestCutAgainstList(t *testing.T) {
	w := newWorld(t, testConfig())
	rng := tiertest.Rand(7)
	all := tiertest.Slices(0, 5000)
	for i := range all {
		all[i].MaxTime += rng.Int64N(2000)
		if rng.IntN(20) == 0 {
			all[i].MinTime, all[i].MaxTime = -1, -1
		}
		all[i].Bytes = 1 + rng.Int64N(300)
	}
	k := w.retention(&Limits{-1, -1}, nil)
	k.deps.Store = dated{w.Store}
	s := w.Source(1, 0)
	e := manifest.Edit{Now: all}
	if _, _, err := e.Commit(t.Context(), s, w.PageWriter(w.reader), "t"); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		h := *s.Head()
		h.LogStart = rng.Int64N(640)
		keep := Limits{Ms: rng.Int64N(60000) - 1, Bytes: rng.Int64N(800_000) - 1}
		if rng.IntN(3) == 0 {
			keep.Ms = -1
		} else if rng.IntN(3) == 0 {
			keep.Bytes = -1
		}
		now, waiting := rng.Int64N(60000), rng.Int64N(1000)
		got, _, err := k.cut(t.Context(), &h, s.ID, keep, waiting, now)
		if err != nil {
			t.Fatal(err)
		}
		c := newCutter(keep, h.LogStart, above(all, h.LogStart)+waiting, now, func(s *schema.Slice) (int64, error) { return writtenAt(s.Object), nil })
		if _, err := c.slices(all); err != nil || got != c.start {
			t.Fatalf("%+v at %d from %d: %d, the list gives %d", keep, now, h.LogStart, got, c.start)
		}
	}
}

// above is the size of the slices that end above a log start.
func above(list []schema.Slice, start int64) (bytes int64) {
	for i := range list {
		if list[i].End > start {
			bytes += list[i].Bytes
		}
	}
	return bytes
}

// Over a life of uploads and retention, readers get exactly what is kept, the
// manifest holds little that is gone, and quiet passes read nothing.
func TestRetention(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	keep := Limits{Ms: 150_000, Bytes: -1}
	dropped := map[schema.Object]bool{}
	k := w.retention(&keep, func(list []schema.Object) {
		for _, o := range list {
			dropped[o] = true
		}
	})
	rng := tiertest.Rand(3)
	for i := range 400 {
		w.Now.Add(1000)
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 50, w.Now.Millis()), 0, w.Now.Millis())
		w.Flush()
		k.Pass(t.Context())
		h := s.Head()
		if want := max(0, int64(i)-150); h.LogStart != want {
			t.Fatalf("after %d s the log starts at %d, want %d", i, h.LogStart, want)
		}
		if m := h.Manifest; m.Slices > 0 && h.LogStart-m.Base > trimAtLeast {
			t.Fatalf("the manifest begins at %d, the log at %d", m.Base, h.LogStart)
		}
	}
	if len(dropped) != 249 {
		t.Errorf("%d objects were told to be dropped, want 249", len(dropped))
	}
	w.CheckHistory(s, s.Head().LogStart, 1000)
	gets := 0
	w.Inject(func(s3store.Call) s3store.Fault { gets++; return s3store.Fault{} })
	for range 5 {
		k.Pass(t.Context())
	}
	if gets != 0 {
		t.Errorf("passes with nothing to do made %d requests", gets)
	}
	keep = Limits{Ms: -1, Bytes: 0}
	k.Pass(t.Context())
	if h := s.Head(); h.LogStart != h.TieredEnd || len(h.Slices) != 0 || h.Manifest != (schema.Manifest{}) {
		t.Errorf("after nothing is to be kept the head is %+v", h)
	}
	s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 50, w.Now.Millis()), 0, w.Now.Millis())
	keep.Bytes = -1
	w.Flush()
	w.CheckHistory(s, s.Head().LogStart, 1000)
}

// DeleteRecords moves the start to any offset, also to one that isn't tiered yet.
func TestDeleteTo(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	keep := Limits{-1, -1}
	k := w.retention(&keep, nil)
	rng := tiertest.Rand(3)
	for range 100 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 10, 50, w.Now.Millis()), 0, w.Now.Millis())
		w.Flush()
	}
	for _, to := range []int64{5, 3, 10, 333, 899, 995} {
		before := s.Head().LogStart
		if err := k.DeleteTo(t.Context(), s, to); err != nil {
			t.Fatal(err)
		}
		if h := s.Head(); h.LogStart != max(before, to) {
			t.Fatalf("start is %d after %d was asked for", h.LogStart, to)
		}
		k.Pass(t.Context())
		w.CheckHistory(s, s.Head().LogStart, 1000)
	}
	for range 3 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 10, 50, w.Now.Millis()), 0, w.Now.Millis())
	}
	if err := k.DeleteTo(t.Context(), s, 1015); err != nil {
		t.Fatal(err)
	}
	if h := s.Head(); h.LogStart != 1015 || h.TieredEnd != 1000 || len(h.Slices) != 1 || h.TieredBytes() != 0 {
		t.Errorf("head is %+v", h)
	}
	w.Flush()
	if h := s.Head(); h.TieredEnd != 1030 || h.LogStart != 1015 {
		t.Errorf("head is %+v", h)
	}
	w.CheckHistory(s, 1015, 1000)
}

// Uploads and retention of one partition at the same time lose nothing of either.
func TestRetentionBesideUploads(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	keep := Limits{-1, 4000}
	k := w.retention(&keep, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			k.Pass(ctx)
		}
	}()
	rng := tiertest.Rand(3)
	for i := range 300 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 50, int64(i)), 0, w.Now.Millis())
		w.Flush()
	}
	cancel()
	<-done
	k.Pass(t.Context())
	h := s.Head()
	if h.TieredEnd != 300 || h.LogStart < 250 || h.LogStart > 275 {
		t.Errorf("log is %d to %d", h.LogStart, h.TieredEnd)
	}
	w.CheckHistory(s, h.LogStart, 1000)
}

// Records without timestamps go by the age of their object, and one look-up that
// fails holds back only what it is about.
func TestRetentionWithoutTimestamps(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	for range 3 {
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 50, -1), 0, w.Now.Millis())
		w.Flush()
	}
	keep := Limits{Ms: 1000, Bytes: -1}
	k := w.retention(&keep, nil)
	pass := func(want int64) {
		t.Helper()
		k.Pass(t.Context())
		if h := s.Head(); h.LogStart != want {
			t.Fatalf("the log starts at %d, want %d", h.LogStart, want)
		}
	}
	w.Now.Set(time.Now().UnixMilli())
	pass(0)
	w.Now.Add(600_000)
	asked := 0
	w.Inject(func(c s3store.Call) (f s3store.Fault) {
		if c.Op == s3store.OpHead {
			if asked++; asked == 2 {
				f.Before = errors.New("away")
			}
		}
		return f
	})
	pass(1)
	pass(3)
}
