package garbage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/object"
	"varve/tiering/retain"
	"varve/tiering/tiertest"
)

func (w *world) collector(cfg Config) *Collector {
	handle := w.Meta.Open()
	w.T.Cleanup(func() { _ = handle.Close() })
	return New(cfg, Deps{Store: w.Store, Pages: w.reader, Meta: handle, Log: slog.New(slog.DiscardHandler),
		Floor: func(i id.Incarnation) uint64 {
			if i == w.IDs.Writer() {
				return w.IDs.Floor()
			}
			return 0
		}})
}

// eager collects everything at once.
func eager() Config {
	c := DefaultConfig()
	c.Grace, c.SweepObjects, c.DeletesPerSecond, c.UndeleteWindow = 0, 1<<20, 1<<20, 0
	return c
}

func (w *world) collect(c *Collector) {
	w.T.Helper()
	if err := c.Pass(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// named lists the keys of all that heads and manifests refer to.
func (w *world) named() map[string]bool {
	w.T.Helper()
	keys := map[string]bool{}
	var pages func(s *tiertest.Source, at schema.Page)
	pages = func(s *tiertest.Source, at schema.Page) {
		g, err := w.reader.Page(w.T.Context(), s.ID, at)
		if err != nil {
			w.T.Fatal(err)
		}
		keys[object.PageKey(at.Object)] = true
		for i := range g.Children {
			pages(s, g.Children[i].Page)
		}
		for i := range g.Slices {
			if g.Slices[i].End > s.Head().LogStart {
				keys[object.Key(g.Slices[i].Object)] = true
			}
		}
	}
	for _, s := range w.Sources {
		h := s.Head()
		if h.Manifest.Slices > 0 {
			pages(s, h.Manifest.Root)
		}
		for i := range h.Slices {
			keys[object.Key(h.Slices[i].Object)] = true
		}
	}
	return keys
}

// Whatever was uploaded, folded, trimmed, deleted and orphaned: collecting leaves
// exactly what heads and manifests lead to.
func TestCollectorKeepsWhatIsNamed(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, testConfig())
			rng := tiertest.Rand(seed)
			for i := range 4 {
				w.Source(byte(i%2+1), int32(i))
			}
			keep := retain.Limits{Ms: -1, Bytes: -1}
			k := w.retention(&keep, nil)
			c := w.collector(eager())
			for round := range 250 {
				for _, s := range w.Sources {
					if rng.IntN(3) > 0 {
						s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1+rng.IntN(3), 30, 1), 0, w.Now.Millis())
					}
				}
				w.Flush()
				if rng.IntN(30) == 0 {
					s := w.Sources[rng.IntN(len(w.Sources))]
					if err := k.DeleteTo(t.Context(), s, rng.Int64N(s.Head().TieredEnd+1)); err != nil {
						t.Fatal(err)
					}
					k.Pass(t.Context())
				}
				if rng.IntN(20) == 0 {
					w.orphan(schema.Object{Writer: 7, Seq: w.IDs.Next().Seq}, w.Sources[0].ID, true)
				}
				if round%25 == 24 {
					w.collect(c)
				}
			}
			w.collect(c)
			want := w.named()
			got := append(w.ObjectsIn(object.PrefixData), w.ObjectsIn(object.PrefixPages)...)
			for _, key := range got {
				if !want[key] {
					t.Errorf("%s is garbage and still there", key)
				}
				delete(want, key)
			}
			for key := range want {
				t.Errorf("%s is named and gone", key)
			}
			for _, s := range w.Sources {
				w.CheckHistory(s, s.Head().LogStart, 500)
			}
		})
	}
}

// orphan puts an object that nothing refers to, as a crash would leave it.
func (w *world) orphan(o schema.Object, p id.Partition, settled bool) string {
	w.T.Helper()
	batch := tiertest.RandomBatch(w.T, tiertest.Rand(o.Seq), kafka.None, 1, 10, 1)
	b := object.NewBuilder(batch, 0, 0, w.Now.Millis(), func() bool { return false }, nil)
	b.Begin(p, "orphaned")
	batch.SetBaseOffset(1 << 40)
	meta := object.Batch{Base: 1 << 40, End: 1<<40 + 1, Size: int32(len(batch))}
	if err := b.Add(&meta, 0); err != nil {
		w.T.Fatal(err)
	}
	b.End(nil, nil)
	if err := w.Bucket.Put(w.T.Context(), object.Key(o), bytes.NewReader(b.Finish(o))); err != nil {
		w.T.Fatal(err)
	}
	if settled {
		w.IDs.Settle(o)
	}
	return object.Key(o)
}

func (w *world) there(key string) bool {
	w.T.Helper()
	_, err := w.Bucket.Head(context.Background(), key)
	if err != nil && !errors.Is(err, s3store.ErrNotFound) {
		w.T.Fatal(err)
	}
	return err == nil
}

// In doubt an object stays.
func TestCollectorKeepsInDoubt(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
	w.Flush()
	unknown := id.Partition{Topic: id.Topic{99}}
	put := func(key, body string) string {
		if err := w.Bucket.Put(t.Context(), key, bytes.NewReader([]byte(body))); err != nil {
			t.Fatal(err)
		}
		return key
	}
	garbage := w.orphan(schema.Object{Writer: 3, Seq: 1}, s.ID, false) // an older owner's
	keep := map[string]string{
		"may still be committed":       w.orphan(w.IDs.Next(), s.ID, false),
		"of a topic that nobody knows": w.orphan(schema.Object{Writer: 3, Seq: 2}, unknown, false),
		"not Varve's":                  put("data/readme.txt", "hello"),
		"not an object":                put(object.Key(schema.Object{Writer: 3, Seq: 3}), "what is this?"),
		"not a page":                   put(object.PageKey(schema.Object{Writer: 3, Seq: 4}), "what is this?"),
		"under another's name":         put(object.Key(schema.Object{Writer: 3, Seq: 5}), string(w.ObjectBytes(garbage))),
		"named by a head":              object.Key(s.Head().Slices[0].Object),
	}
	young := eager()
	young.Grace = time.Hour
	w.collect(w.collector(young))
	if !w.there(garbage) {
		t.Error("deleted although young")
	}
	w.collect(w.collector(eager()))
	for why, key := range keep {
		if !w.there(key) {
			t.Errorf("%s: deleted", why)
		}
	}
	if w.there(garbage) {
		t.Error("garbage is still there")
	}
}

// If etcd was lost nothing of the bucket is garbage (promise 8).
func TestCollectorAfterEtcdLoss(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	for range 100 {
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		w.Flush()
	}
	before := len(w.ObjectsIn(""))
	w.Meta = metadata.NewMemory()
	w.collect(w.collector(eager()))
	if n := len(w.ObjectsIn("")); n != before {
		t.Errorf("%d of %d objects are left", n, before)
	}
}

// Errors of the bucket or of etcd delete nothing, and a later pass completes.
func TestCollectorErrors(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	for range 100 {
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		w.Flush()
	}
	garbage := w.orphan(schema.Object{Writer: 3, Seq: 1}, s.ID, false)
	named := w.named()
	c := w.collector(eager())
	rng := tiertest.Rand(8)
	w.Inject(func(s3store.Call) s3store.Fault {
		if rng.IntN(8) == 0 {
			return s3store.Fault{Before: tiertest.ErrInjected}
		}
		return s3store.Fault{}
	})
	failed := 0
	for range 50 {
		if c.Pass(t.Context()) != nil {
			failed++
		}
	}
	w.Inject(nil)
	w.collect(c)
	w.collect(c)
	if failed == 0 || w.there(garbage) {
		t.Errorf("%d passes failed; garbage is there: %v", failed, w.there(garbage))
	}
	for key := range named {
		if !w.there(key) {
			t.Errorf("%s is named and gone", key)
		}
	}
}

// What retention drops goes before sweeping comes by.
func TestCollectorOffered(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	cfg := eager()
	cfg.SweepObjects = 1
	c := w.collector(cfg)
	keep := retain.Limits{Ms: -1, Bytes: -1}
	k := w.retention(&keep, c.Offer)
	for range 40 {
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		w.Flush()
	}
	if err := k.DeleteTo(t.Context(), s, 30); err != nil {
		t.Fatal(err)
	}
	w.collect(c)
	if n := len(w.ObjectsIn(object.PrefixData)); n != 10 {
		t.Errorf("%d objects are left of 40, 30 were dropped", n)
	}
}

// While someone has to decide what is garbage nothing is deleted.
func TestGarbageIsHeld(t *testing.T) {
	w := newWorld(t, testConfig())
	handle := w.Meta.Open()
	defer handle.Close()
	s := w.Source(1, 0)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
	w.Flush()
	key := w.orphan(schema.Object{Writer: 7, Seq: w.IDs.Next().Seq}, s.ID, true)
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(schema.KeyGarbageHeld, []byte("why"))); err != nil {
		t.Fatal(err)
	}
	c := w.collector(eager())
	w.collect(c)
	if !slices.Contains(w.ObjectsIn(object.PrefixData), key) {
		t.Fatal("it is gone")
	}
	if _, err := handle.Txn(t.Context(), nil, metadata.Delete(schema.KeyGarbageHeld)); err != nil {
		t.Fatal(err)
	}
	w.collect(c)
	if slices.Contains(w.ObjectsIn(object.PrefixData), key) {
		t.Error("it stays for ever")
	}
}
