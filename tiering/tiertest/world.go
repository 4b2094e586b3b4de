// Package tiertest has what the tests of the tier's packages share: a bucket and a metadata
// store with faults, and partitions whose journals are memory.
package tiertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
)

// ErrInjected is a fault that a test injected.
var ErrInjected = errors.New("injected")

// World is a bucket and a metadata store, with partitions whose journals are memory.
type World struct {
	T       testing.TB
	Bucket  s3store.Store // without faults
	Store   s3store.Store // with faults
	Meta    *metadata.Memory
	Heads   *metadata.Writer
	IDs     *manifest.ObjectIDs
	Sources []*Source // complete before the first flush
	Now     clock

	faults   atomic.Pointer[func(s3store.Call) s3store.Fault]
	uploader uploads
	read     readFunc
	Start    func() // runs the uploader
	Cancel   func() // ends it
}

// uploads is an uploader.
type uploads interface {
	Run(ctx context.Context) error
	Flush(ctx context.Context, only ...id.Partition) error
}

// readFunc reads some batches of a partition at an offset.
type readFunc func(ctx context.Context, h *schema.Head, p id.Partition, offset int64, limit int) (batches []byte, next int64, err error)

// clock is a test's time in ms.
type clock struct{ now atomic.Int64 }

func (c *clock) Millis() int64 { return c.now.Load() }
func (c *clock) Set(ms int64)  { c.now.Store(ms) }
func (c *clock) Add(ms int64)  { c.now.Add(ms) }

// New makes a world without partitions.
func New(t testing.TB) *World {
	w := &World{T: t, Bucket: s3store.NewMemory(), Meta: metadata.NewMemory(), IDs: manifest.NewObjectIDs(7, schema.FirstTimed)}
	w.Now.Set(1_000_000)
	w.Store = s3store.WithFaults(w.Bucket, func(c s3store.Call) s3store.Fault {
		if f := w.faults.Load(); f != nil && *f != nil {
			return (*f)(c)
		}
		return s3store.Fault{}
	})
	handle := w.Meta.Open()
	w.Heads = metadata.NewWriter(handle, metadata.DefaultWriterConfig(), slog.New(slog.DiscardHandler), nil)
	t.Cleanup(func() {
		_ = w.Heads.Close(context.Background())
		_ = handle.Close()
	})
	return w
}

// Inject makes f decide which calls of Store fail, from now on. A nil f ends the
// faults. A call that was made before may still run: a reader leaves requests
// behind when its context ends.
func (w *World) Inject(f func(s3store.Call) s3store.Fault) { w.faults.Store(&f) }

// Serve gives the world an uploader and a reader. The uploader runs from the first flush on, or
// from start; ended is called when it has ended with the test.
func (w *World) Serve(u uploads, read readFunc, ended func()) {
	w.uploader, w.read = u, read
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w.Start = sync.OnceFunc(func() { wg.Go(func() { _ = u.Run(ctx) }) })
	w.Cancel = func() { cancel(); wg.Wait() }
	w.T.Cleanup(func() {
		w.Cancel()
		ended()
	})
}

// List returns the world's partitions as their users expect them.
func List[S any](w *World) func() iter.Seq[S] {
	return func() iter.Seq[S] {
		return func(yield func(S) bool) {
			for _, s := range w.Sources {
				if !yield(any(s).(S)) {
					return
				}
			}
		}
	}
}

// Source adds a partition of the world's own incarnation.
func (w *World) Source(topic byte, index int32) *Source {
	s := NewSource(w.T, w.Heads, id.Partition{Topic: id.Topic{topic}, Index: index}, w.IDs.Writer(), 0)
	w.Sources = append(w.Sources, s)
	return s
}

// Flush uploads all that waits.
func (w *World) Flush() {
	w.T.Helper()
	w.Start()
	if err := w.uploader.Flush(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// ReadAll reads everything from an offset on, in reads of at most limit bytes.
func (w *World) ReadAll(s *Source, offset int64, limit int) []byte {
	w.T.Helper()
	var all []byte
	for h := s.Head(); offset < h.TieredEnd; {
		some, next, err := w.read(w.T.Context(), h, s.ID, offset, limit)
		if err != nil {
			w.T.Fatalf("read at %d: %v", offset, err)
		}
		if next <= offset {
			w.T.Fatalf("read at %d got to %d", offset, next)
		}
		all, offset = append(all, some...), next
	}
	return all
}

// CheckHistory proves that readers get what was produced from an offset on.
func (w *World) CheckHistory(s *Source, offset int64, limit int) {
	w.T.Helper()
	if got, want := w.ReadAll(s, offset, limit), s.History(offset); !bytes.Equal(got, want) {
		w.T.Fatalf("%v from %d: read %d bytes that are not the %d produced", s.ID, offset, len(got), len(want))
	}
}

// ObjectsIn lists the keys below a prefix of the bucket.
func (w *World) ObjectsIn(prefix string) (keys []string) {
	w.T.Helper()
	if err := w.Bucket.List(context.Background(), prefix, "", func(o s3store.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		w.T.Fatal(err)
	}
	return keys
}

// ObjectBytes returns an object.
func (w *World) ObjectBytes(key string) []byte {
	w.T.Helper()
	body, err := w.Bucket.Get(context.Background(), key, 0, -1)
	if err != nil {
		w.T.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		w.T.Fatal(err)
	}
	return b
}

// Lose deletes an object.
func (w *World) Lose(key string) {
	w.T.Helper()
	if err := w.Bucket.Delete(w.T.Context(), []string{key}); err != nil {
		w.T.Fatal(err)
	}
}

// RandomBatch has records from time first on, each a ms later.
func RandomBatch(t testing.TB, rng *rand.Rand, codec kafka.Codec, records, valueBytes int, first int64) kafka.Batch {
	t.Helper()
	list := make([]kafka.NewRecord, records)
	for i := range list {
		v := make([]byte, valueBytes)
		for j := range v {
			v[j] = "abcdefgh"[rng.IntN(8)]
		}
		list[i] = kafka.NewRecord{Timestamp: first + int64(i), Value: v}
	}
	b, err := kafka.Build(codec, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// PageWriter writes pages into the bucket.
func (w *World) PageWriter(pages manifest.Pages) *manifest.PageWriter {
	put := manifest.NewPutter(w.Store, slog.New(slog.DiscardHandler), nil, time.Millisecond, time.Second, func(error) {}, func() int64 { return 0 })
	return manifest.NewPageWriter(pages, put, w.IDs, func() {})
}
