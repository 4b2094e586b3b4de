package tiering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

var errInjected = errors.New("injected")

// objectsIn lists the keys below a prefix of the bucket.
func (w *world) objectsIn(prefix string) (keys []string) {
	w.t.Helper()
	if err := w.bucket.List(context.Background(), prefix, "", func(o s3store.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// Small partitions share bundles and big ones get objects of their own.
func TestBundlesAndSegments(t *testing.T) {
	cfg := testConfig()
	cfg.upload.BundleBytes, cfg.upload.SegmentBytes, cfg.upload.ObjectBytes = 1<<20, 512<<10, 1<<20
	w := newWorld(t, cfg)
	rng := newRand(1)
	for i := range 10 {
		w.source(1, int32(i)).produce(randomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.now.ms())
	}
	big := w.source(2, 0)
	for range 25 {
		big.produce(randomBatch(t, rng, kafka.Lz4, 1, 200<<10, 1), 0, w.now.ms())
	}
	w.flush()
	first := w.sources[0].Head().Slices[0].Object
	for _, s := range w.sources[:10] {
		if h := s.Head(); len(h.Slices) != 1 || h.Slices[0].Object != first {
			t.Errorf("%v has slices %v, want one in %v", s.id, h.Slices, first)
		}
	}
	seen := map[metadata.Object]bool{first: true}
	for _, s := range big.Head().Slices {
		if seen[s.Object] && s.Bytes >= cfg.upload.SegmentBytes {
			t.Errorf("slice %d to %d shares object %v", s.Base, s.End, s.Object)
		}
		seen[s.Object] = true
		if s.Bytes > cfg.upload.ObjectBytes {
			t.Errorf("a slice of %d bytes in objects of at most %d", s.Bytes, cfg.upload.ObjectBytes)
		}
	}
	if n := len(w.objectsIn(PrefixData)); n != len(seen) {
		t.Errorf("%d objects, %d are named", n, len(seen))
	}
	w.checkHistory(big, 0, 1<<20)
}

// What isn't due stays in the journal; bytes, age or a hurry make it due.
func TestWhenDue(t *testing.T) {
	for name, due := range map[string]func(w *world, hurry *atomic.Bool){
		"age":   func(w *world, _ *atomic.Bool) { w.now.add(w.upload.cfg.MaxAge.Milliseconds()) },
		"hurry": func(w *world, hurry *atomic.Bool) { w.now.add(1000); hurry.Store(true) },
		"bytes": func(w *world, _ *atomic.Bool) {
			w.sources[1].produce(randomBatch(w.t, newRand(1), kafka.Gzip, 1, 80<<10, 1), 0, w.now.ms())
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.upload.BundleBytes = 32 << 10
			cfg.upload.CheckEvery = time.Hour
			w := newWorld(t, cfg)
			w.cancel()
			var hurry atomic.Bool
			w.upload.deps.Hurry = hurry.Load
			a := w.source(1, 0)
			w.source(1, 1)
			a.produce(randomBatch(t, newRand(2), kafka.None, 1, 100, 1), 0, w.now.ms())
			if w.upload.round(t.Context()) || len(w.objectsIn("")) != 0 {
				t.Fatal("uploaded before it was due")
			}
			due(w, &hurry)
			if !w.upload.round(t.Context()) {
				t.Fatal("nothing was uploaded although it was due")
			}
			for _, s := range w.sources {
				if n, _ := s.PendingBytes(); n != 0 {
					t.Errorf("%d bytes of %v wait", n, s.id)
				}
			}
		})
	}
}

// Promise 6: while the bucket is away nothing is dropped, the log says so once,
// and all of it is uploaded when it is back.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		w := newWorld(t, cfg)
		var log lockedBuffer
		w.upload.put.log = slog.New(slog.NewTextHandler(&log, nil))
		var down atomic.Bool
		down.Store(true)
		w.faults = func(c s3store.Call) s3store.Fault {
			if down.Load() {
				return s3store.Fault{Before: errInjected}
			}
			return s3store.Fault{}
		}
		rng := newRand(3)
		s := w.source(1, 0)
		for range 20 {
			s.produce(randomBatch(t, rng, kafka.None, 2, 5000, 1), 0, w.now.ms())
		}
		flushed := make(chan error, 1)
		w.start()
		go func() { flushed <- w.upload.Flush(t.Context()) }()
		time.Sleep(10 * time.Minute) // fake time
		select {
		case err := <-flushed:
			t.Fatalf("flush ended in the outage: %v", err)
		default:
		}
		down.Store(false)
		if err := <-flushed; err != nil {
			t.Fatal(err)
		}
		w.checkHistory(s, 0, 1<<20)
		if n := strings.Count(log.String(), "can't be written"); n != 1 {
			t.Errorf("the outage was logged %d times:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), "can be written again") || !strings.Contains(log.String(), "waiting_bytes=") {
			t.Errorf("log is %s", log.String())
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An upload whose answer was lost is not done twice, and another's object under
// our name is never taken for ours.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		s := w.source(1, 0)
		taken := ObjectKey(metadata.Object{Writer: 7, Seq: metadata.FirstTimed})
		if err := w.bucket.Put(t.Context(), taken, strings.NewReader("another's")); err != nil {
			t.Fatal(err)
		}
		lost := map[string]bool{}
		var mu sync.Mutex
		w.faults = func(c s3store.Call) s3store.Fault {
			mu.Lock()
			defer mu.Unlock()
			if c.Op == s3store.OpPutIfAbsent && c.Key != taken && !lost[c.Key] {
				lost[c.Key] = true
				return s3store.Fault{After: errInjected}
			}
			return s3store.Fault{}
		}
		for i := range 3 {
			s.produce(randomBatch(t, newRand(uint64(i)), kafka.None, 1, 3000, 1), 0, w.now.ms())
			w.flush()
		}
		if n := len(w.objectsIn(PrefixData)); n != 4 {
			t.Errorf("%d objects, want 3 and the other's", n)
		}
		w.checkHistory(s, 0, 100)
		if floor := w.names.Floor(); floor != metadata.FirstTimed+4 {
			t.Errorf("floor is %d, want %d: everything is settled", floor, uint64(metadata.FirstTimed+4))
		}
	})
}

// Promise 2: a partition that has another owner by now is left to it, and the
// others are committed.
func TestNotOwner(t *testing.T) {
	w := newWorld(t, testConfig())
	rng := newRand(1)
	for i := range 3 {
		w.source(1, int32(i)).produce(randomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.now.ms())
	}
	thief := metadata.Head{Owner: 99, Epoch: 1}
	if _, err := w.heads.Write(t.Context(), nil, metadata.Put(metadata.HeadKey(w.sources[1].id), thief.Encode())); err != nil {
		t.Fatal(err)
	}
	w.flush()
	for i, s := range w.sources {
		if got, want := s.Head().TieredEnd, int64(1); i != 1 && got != want || i == 1 && got != 0 {
			t.Errorf("partition %d is tiered up to %d", i, got)
		}
	}
	if n := w.names.Floor(); n != metadata.FirstTimed+1 {
		t.Errorf("floor is %d, want %d", n, uint64(metadata.FirstTimed+1))
	}
}

// A journal that can't be read, or gives something else, stops its partition and
// no other, and is never made history.
func TestUnreadableSource(t *testing.T) {
	for name, spoil := range map[string]func(*fakeSource){
		"error":  func(s *fakeSource) { s.mu.readErr = errInjected },
		"rotten": func(s *fakeSource) { s.mu.data[0][70] ^= 1 },
		"other":  func(s *fakeSource) { kafka.Batch(s.mu.data[0]).SetBaseOffset(5) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, testConfig())
				rng := newRand(1)
				for i := range 3 {
					w.source(1, int32(i)).produce(randomBatch(t, rng, kafka.None, 1, 1000, 1), 0, w.now.ms())
				}
				bad := w.sources[1]
				good := bytes.Clone(bad.mu.data[0])
				bad.mu.Lock()
				spoil(bad)
				bad.mu.Unlock()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				w.start()
				if err := w.upload.Flush(ctx, w.sources[0].id, w.sources[2].id); err != nil {
					t.Fatal(err)
				}
				if err := w.upload.Flush(ctx, bad.id); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("flush of what can't be read: %v", err)
				}
				if bad.Head().TieredEnd != 0 {
					t.Error("something was committed")
				}
				bad.mu.Lock()
				bad.mu.readErr, bad.mu.data[0] = nil, good
				bad.mu.Unlock()
				w.flush()
				w.checkHistory(bad, 0, 1)
			})
		})
	}
}

// A crash between any two steps of a commit leaves a head that leads to whole data,
// and what the next owner uploads completes it.
func TestCrashBetweenSteps(t *testing.T) {
	const rounds = 90 // enough for folds
	for crashAt := 1; crashAt < 260; crashAt += 7 {
		t.Run(fmt.Sprint(crashAt), func(t *testing.T) {
			w := newWorld(t, testConfig())
			s := w.source(1, 0)
			rng := newRand(uint64(crashAt))
			var calls atomic.Int64
			dead := make(chan struct{})
			w.faults = func(c s3store.Call) s3store.Fault {
				switch n := calls.Add(1); {
				case n < int64(crashAt):
					return s3store.Fault{}
				case n == int64(crashAt):
					close(dead)
					if crashAt%2 == 0 {
						return s3store.Fault{After: errInjected} // it was done, but nobody heard
					}
				}
				return s3store.Fault{Before: errInjected}
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-dead; cancel() }()
			w.start()
			crashed := false
			for range rounds {
				s.produce(randomBatch(t, rng, kafka.None, 1, 100, 1), 0, w.now.ms())
				if crashed = w.upload.Flush(ctx) != nil; crashed {
					break
				}
			}
			if !crashed {
				close(dead)
			}
			w.cancel()
			w.faults = nil
			// The next incarnation owns the partition and has the journal's tail.
			kv, err := w.meta.Open().Get(t.Context(), metadata.HeadKey(s.id))
			if err != nil {
				t.Fatal(err)
			}
			h, err := metadata.DecodeHead(kv.Value)
			if err != nil {
				t.Fatal(err)
			}
			h.Owner = 8
			s.mu.head = h
			if s.mu.rev, err = w.heads.Write(t.Context(), nil, metadata.Put(metadata.HeadKey(s.id), h.Encode())); err != nil {
				t.Fatal(err)
			}
			w.checkHistory(s, 0, 1000)
			s.produce(randomBatch(t, rng, kafka.None, 1, 100, 1), 1, w.now.ms())
			next := NewUploader(DefaultUploadConfig(), UploadDeps{Store: w.store, Reader: w.reader, Names: NewNames(8), Sources: w.list,
				Topic: func(id.Topic) string { return "" }, Clock: func() int64 { return w.now.ms() + 1e6 }, Log: slog.New(slog.DiscardHandler)})
			for next.round(t.Context()) {
			}
			if n, _ := s.PendingBytes(); n != 0 {
				t.Fatalf("%d bytes wait", n)
			}
			w.checkHistory(s, 0, 1000)
		})
	}
}

// The journal is told only of what is committed, and a head never overflows.
func TestFoldsAndTrims(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	committed := int64(0)
	w.upload.deps.OnCommitted = func() {
		kv, err := w.meta.Open().Get(context.Background(), metadata.HeadKey(s.id))
		if err != nil {
			t.Error(err)
			return
		}
		h, err := metadata.DecodeHead(kv.Value)
		if err != nil || h.TieredEnd <= committed {
			t.Errorf("told with the tier at %d, was %d: %v", h.TieredEnd, committed, err)
		}
		committed = h.TieredEnd
	}
	rng := newRand(9)
	for i := range 300 {
		s.produce(randomBatch(t, rng, kafka.None, 1+rng.IntN(3), 50, int64(i)), id.Epoch(i/40), w.now.ms())
		w.flush()
		h := s.Head()
		if len(h.Slices) > metadata.MaxHeadSlices {
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
	w.checkHistory(s, 0, 10)
	w.checkHistory(s, 0, 1<<20)
}

// Many tiny partitions cost one object.
func TestManyPartitions(t *testing.T) {
	w := newWorld(t, testConfig())
	rng := newRand(4)
	const n = 3000
	for i := range n {
		w.source(byte(i%3), int32(i)).produce(randomBatch(t, rng, kafka.None, 1, 200, 1), 0, w.now.ms())
	}
	w.flush()
	if objects := len(w.objectsIn(PrefixData)); objects != 1 {
		t.Errorf("%d objects for %d tiny partitions", objects, n)
	}
	for _, s := range w.sources[:50] {
		w.checkHistory(s, 0, 1)
	}
}

// Promise 3, for the reader of a bucket alone: what Dump says of an uploaded object
// is what is in it.
func TestDumpUploaded(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 4)
	s.produce(randomBatch(t, newRand(1), kafka.None, 3, 3000, 77), 2, w.now.ms())
	w.flush()
	keys := w.objectsIn(PrefixData)
	body, err := w.bucket.Get(t.Context(), keys[0], 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	object, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := Dump(&text, bytes.NewReader(object), int64(len(object)), DumpOptions{Batches: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"topic-1"`, "offsets 0 to 3", "zstd of", "3 records", "epoch 2 from 0"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("dump lacks %q:\n%s", want, text.String())
		}
	}
}

// A commit that was prepared on another head than the one there is changes nothing.
func TestStaleCommit(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	for range 3 {
		s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		w.flush()
	}
	was := s.Head()
	e := edit{was: was, manifest: was.Manifest, slices: was.Slices, start: 1, end: was.TieredEnd}
	for name, change := range map[string]func(h *metadata.Head){
		"slices":   func(h *metadata.Head) { h.Slices = h.Slices[1:] },
		"manifest": func(h *metadata.Head) { h.Manifest.Slices++ },
		"end":      func(h *metadata.Head) { h.TieredEnd++ },
	} {
		other := *was
		change(&other)
		s.mu.Lock()
		s.mu.head = &other
		s.mu.Unlock()
		if err := e.commit(t.Context(), s); !errors.Is(err, errStale) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// An object of another size under our name, found after an answer was lost, isn't ours.
func TestTakenAfterLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testConfig())
		s := w.source(1, 0)
		first := true
		w.faults = func(c s3store.Call) s3store.Fault {
			if c.Op == s3store.OpPutIfAbsent && first {
				first = false
				if err := w.bucket.Put(t.Context(), c.Key, strings.NewReader("another's")); err != nil {
					t.Error(err)
				}
				return s3store.Fault{Before: errInjected}
			}
			return s3store.Fault{}
		}
		s.produce(randomBatch(t, newRand(1), kafka.None, 1, 3000, 1), 0, w.now.ms())
		w.flush()
		w.checkHistory(s, 0, 100)
		if o := s.Head().Slices[0].Object; o.Seq != metadata.FirstTimed+1 {
			t.Errorf("the object is %v", o)
		}
	})
}

// A flush is heard between rounds, also where producers keep up with the bucket so that
// one follows the other.
func TestFlushUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.upload.BundleBytes = 1
		w := newWorld(t, cfg)
		busy := w.source(1, 0)
		rng := newRand(1)
		produce := func() { busy.produce(randomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.now.ms()) }
		flushed := make(chan error, 1)
		rounds := 0
		w.upload.deps.OnCommitted = func() {
			if rounds++; rounds == 1 {
				go func() { flushed <- w.upload.Flush(t.Context()) }()
			}
			synctest.Wait() // it asks by now, or was answered
			switch {
			case len(flushed) > 0:
				return
			case rounds == 50:
				t.Error("a flush wasn't heard for 50 rounds")
				return
			}
			produce()
		}
		produce()
		w.start()
		w.upload.Kick()
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	})
}
