package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// Small partitions share bundles and big ones get objects of their own.
func TestBundlesAndSegments(t *testing.T) {
	cfg := testConfig()
	cfg.upload.BundleBytes, cfg.upload.SegmentBytes, cfg.upload.ObjectBytes = 1<<20, 512<<10, 1<<20
	w := newWorld(t, cfg)
	rng := tiertest.Rand(1)
	for i := range 10 {
		w.Source(1, int32(i)).Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.Now.Millis())
	}
	big := w.Source(2, 0)
	for range 25 {
		big.Produce(tiertest.RandomBatch(t, rng, kafka.Lz4, 1, 200<<10, 1), 0, w.Now.Millis())
	}
	w.Flush()
	first := w.Sources[0].Head().Slices[0].Object
	for _, s := range w.Sources[:10] {
		if h := s.Head(); len(h.Slices) != 1 || h.Slices[0].Object != first {
			t.Errorf("%v has slices %v, want one in %v", s.ID, h.Slices, first)
		}
	}
	seen := map[schema.Object]bool{first: true}
	for _, s := range big.Head().Slices {
		if seen[s.Object] && s.Bytes >= cfg.upload.SegmentBytes {
			t.Errorf("slice %d to %d shares object %v", s.Base, s.End, s.Object)
		}
		seen[s.Object] = true
		if s.Bytes > cfg.upload.ObjectBytes {
			t.Errorf("a slice of %d bytes in objects of at most %d", s.Bytes, cfg.upload.ObjectBytes)
		}
	}
	if n := len(w.ObjectsIn(object.PrefixData)); n != len(seen) {
		t.Errorf("%d objects, %d are named", n, len(seen))
	}
	w.CheckHistory(big, 0, 1<<20)
}

// What isn't due stays in the journal; bytes, age or a hurry make it due.
func TestWhenDue(t *testing.T) {
	for name, due := range map[string]func(w *world, hurry *atomic.Bool){
		"age":   func(w *world, _ *atomic.Bool) { w.Now.Add(w.upload.cfg.MaxAge.Milliseconds()) },
		"hurry": func(w *world, hurry *atomic.Bool) { w.Now.Add(1000); hurry.Store(true) },
		"bytes": func(w *world, _ *atomic.Bool) {
			w.Sources[1].Produce(tiertest.RandomBatch(w.T, tiertest.Rand(1), kafka.Gzip, 1, 80<<10, 1), 0, w.Now.Millis())
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.upload.BundleBytes = 32 << 10
			cfg.upload.CheckEvery = time.Hour
			w := newWorld(t, cfg)
			w.Cancel()
			var hurry atomic.Bool
			w.upload.deps.Hurry = hurry.Load
			a := w.Source(1, 0)
			w.Source(1, 1)
			a.Produce(tiertest.RandomBatch(t, tiertest.Rand(2), kafka.None, 1, 100, 1), 0, w.Now.Millis())
			if w.upload.drain(t.Context()); len(w.ObjectsIn("")) != 0 {
				t.Fatal("uploaded before it was due")
			}
			due(w, &hurry)
			w.upload.drain(t.Context())
			for _, s := range w.Sources {
				if n, _ := s.PendingBytes(); n != 0 {
					t.Errorf("%d bytes of %v wait", n, s.ID)
				}
			}
		})
	}
}

// Promise 2: a partition that has another owner by now is left to it, and the
// others are committed.
func TestNotOwner(t *testing.T) {
	w := newWorld(t, testConfig())
	rng := tiertest.Rand(1)
	for i := range 3 {
		w.Source(1, int32(i)).Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.Now.Millis())
	}
	thief := schema.Head{Ownership: schema.Ownership{Owner: 99, Epoch: 1}}
	if _, err := w.Heads.Write(t.Context(), nil, schema.StoredHead{Partition: w.Sources[1].ID}.Ops(&thief)...); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	for i, s := range w.Sources {
		if got, want := s.Head().TieredEnd, int64(1); i != 1 && got != want || i == 1 && got != 0 {
			t.Errorf("partition %d is tiered up to %d", i, got)
		}
	}
	if n := w.IDs.Floor(); n != schema.FirstTimed+1 {
		t.Errorf("floor is %d, want %d", n, uint64(schema.FirstTimed+1))
	}
}

// A journal that can't be read, or returns something else, stops its partition and
// no other, and is never made history.
func TestUnreadableSource(t *testing.T) {
	for name, spoil := range map[string]func(*tiertest.Source){
		"error":  func(s *tiertest.Source) { s.Mu.ReadErr = tiertest.ErrInjected },
		"rotten": func(s *tiertest.Source) { s.Mu.Data[0][70] ^= 1 },
		"other":  func(s *tiertest.Source) { kafka.Batch(s.Mu.Data[0]).SetBaseOffset(5) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, testConfig())
				rng := tiertest.Rand(1)
				for i := range 3 {
					w.Source(1, int32(i)).Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.Now.Millis())
				}
				bad := w.Sources[1]
				good := bytes.Clone(bad.Mu.Data[0])
				bad.Mu.Lock()
				spoil(bad)
				bad.Mu.Unlock()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				w.Start()
				if err := w.upload.Flush(ctx, w.Sources[0].ID, w.Sources[2].ID); err != nil {
					t.Fatal(err)
				}
				if err := w.upload.Flush(ctx, bad.ID); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("flush of what can't be read: %v", err)
				}
				if bad.Head().TieredEnd != 0 {
					t.Error("something was committed")
				}
				bad.Mu.Lock()
				bad.Mu.ReadErr, bad.Mu.Data[0] = nil, good
				bad.Mu.Unlock()
				w.Flush()
				w.CheckHistory(bad, 0, 1)
			})
		})
	}
}

// Only what is committed is reported to the journal, and a head never overflows.
func TestFoldsAndTrims(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	committed := int64(0)
	w.upload.deps.OnCommitted = func() {
		kv, err := w.Meta.Open().Get(context.Background(), schema.HeadKey(s.ID))
		if err != nil {
			t.Error(err)
			return
		}
		h, err := schema.DecodeHead(kv.Value)
		if err != nil || h.TieredEnd <= committed {
			t.Errorf("told with the tier at %d, was %d: %v", h.TieredEnd, committed, err)
		}
		committed = h.TieredEnd
	}
	rng := tiertest.Rand(9)
	for i := range 300 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1+rng.IntN(3), 50, int64(i)), id.Epoch(i/40), w.Now.Millis())
		w.Flush()
		h := s.Head()
		if len(h.Slices) > schema.MaxHeadSlices {
			t.Fatalf("head has %d slices", len(h.Slices))
		}
		if h.Manifest.Slices > 0 && h.Slices[0].Base != h.Manifest.End {
			t.Fatalf("manifest ends at %d, slices begin at %d", h.Manifest.End, h.Slices[0].Base)
		}
		if n := h.Manifest.Slices + int64(len(h.Slices)); n != int64(i+1) {
			t.Fatalf("%d slices after %d uploads", n, i+1)
		}
	}
	if s.Head().Manifest.Slices < 200 {
		t.Errorf("manifest has %d slices", s.Head().Manifest.Slices)
	}
	w.CheckHistory(s, 0, 10)
	w.CheckHistory(s, 0, 1<<20)
}

// Many tiny partitions cost one object.
func TestManyPartitions(t *testing.T) {
	w := newWorld(t, testConfig())
	rng := tiertest.Rand(4)
	const n = 3000
	for i := range n {
		w.Source(byte(i%3), int32(i)).Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 200, 1), 0, w.Now.Millis())
	}
	w.Flush()
	if objects := len(w.ObjectsIn(object.PrefixData)); objects != 1 {
		t.Errorf("%d objects for %d tiny partitions", objects, n)
	}
	for _, s := range w.Sources[:50] {
		w.CheckHistory(s, 0, 1)
	}
}

// Promise 3, for the reader of a bucket alone: what Dump shows of an uploaded object
// is what is in it.
func TestDumpUploaded(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 4)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 3, 3000, 77), 2, w.Now.Millis())
	w.Flush()
	keys := w.ObjectsIn(object.PrefixData)
	body, err := w.Bucket.Get(t.Context(), keys[0], 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := object.Dump(&text, bytes.NewReader(stored), int64(len(stored)), object.DumpOptions{Batches: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"topic-1"`, "offsets 0 to 3", "zstd of", "3 records", "epoch 2 from 0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("dump lacks %q:\n%s", want, text.String())
		}
	}
}

// A flush is heard between passes, also where producers keep up with the bucket so that
// one follows the other.
func TestFlushUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.upload.BundleBytes = 1
		w := newWorld(t, cfg)
		busy := w.Source(1, 0)
		rng := tiertest.Rand(1)
		produce := func() { busy.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.Now.Millis()) }
		flushed := make(chan error, 1)
		passes := 0
		w.upload.deps.OnCommitted = func() {
			if passes++; passes == 1 {
				go func() { flushed <- w.upload.Flush(t.Context()) }()
			}
			synctest.Wait() // it asks by now, or was answered
			switch {
			case len(flushed) > 0:
				return
			case passes == 50:
				t.Error("a flush wasn't heard for 50 passes")
				return
			}
			produce()
		}
		produce()
		w.Start()
		w.upload.Kick()
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	})
}

// An upload between the beginning of a slow edit and its commit keeps both: readers get what
// was produced, out of the objects of both.
func TestUploadBesideASlowEdit(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	rng := tiertest.Rand(1)
	for range 5 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 2, 100, 1), 0, w.Now.Millis())
		w.Flush()
	}
	was := s.Head().Slices[1:3]
	edit := manifest.Edit{From: was[0].Base, To: was[1].End, Was: was}
	for _, one := range was { // the same bytes, in other objects
		copied := one
		copied.Object = w.IDs.Next()
		if err := w.Bucket.Put(t.Context(), object.Key(copied.Object), bytes.NewReader(w.ObjectBytes(object.Key(one.Object)))); err != nil {
			t.Fatal(err)
		}
		edit.Now = append(edit.Now, copied)
	}
	s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 2, 100, 1), 0, w.Now.Millis())
	w.Flush()
	if _, _, err := edit.Commit(t.Context(), s, w.PageWriter(w.reader), ""); err != nil {
		t.Fatal(err)
	}
	if h := s.Head(); len(h.Slices) != 6 || h.Slices[1] != edit.Now[0] || h.Slices[2] != edit.Now[1] || h.TieredEnd != 12 {
		t.Errorf("the head is %+v", h)
	}
	w.CheckHistory(s, 0, 1000)
}
