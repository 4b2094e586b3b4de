package tiering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

func (w *world) collector(cfg GarbageConfig) *Collector {
	handle := w.meta.Open()
	w.t.Cleanup(func() { _ = handle.Close() })
	return NewCollector(cfg, GarbageDeps{Store: w.store, Reader: w.reader, Meta: handle, Log: slog.New(slog.DiscardHandler),
		Floor: func(i id.Incarnation) uint64 {
			if i == w.names.Writer() {
				return w.names.Floor()
			}
			return 0
		}})
}

// eager collects everything at once.
func eager() GarbageConfig {
	c := DefaultGarbageConfig()
	c.Grace, c.SweepObjects, c.DeletesPerSecond, c.UndeleteWindow = 0, 1<<20, 1<<20, 0
	return c
}

func (w *world) collect(c *Collector) {
	w.t.Helper()
	if err := c.Pass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// named lists the keys of all that heads and manifests lead to.
func (w *world) named() map[string]bool {
	w.t.Helper()
	keys := map[string]bool{}
	var pages func(s *fakeSource, at metadata.Page)
	pages = func(s *fakeSource, at metadata.Page) {
		g, err := w.upload.drafts().loadPage(w.t.Context(), s.id, at)
		if err != nil {
			w.t.Fatal(err)
		}
		keys[PageKey(at.Object)] = true
		for i := range g.Children {
			pages(s, g.Children[i].Page)
		}
		for i := range g.Slices {
			if g.Slices[i].End > s.Head().LogStart {
				keys[ObjectKey(g.Slices[i].Object)] = true
			}
		}
	}
	for _, s := range w.sources {
		h := s.Head()
		if h.Manifest.Slices > 0 {
			pages(s, h.Manifest.Root)
		}
		for i := range h.Slices {
			keys[ObjectKey(h.Slices[i].Object)] = true
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
			rng := newRand(seed)
			for i := range 4 {
				w.source(byte(i%2+1), int32(i))
			}
			keep := Retention{-1, -1}
			k := w.keeper(&keep, nil)
			c := w.collector(eager())
			for round := range 250 {
				for _, s := range w.sources {
					if rng.IntN(3) > 0 {
						s.produce(randomBatch(t, rng, kafka.None, 1+rng.IntN(3), 30, 1), 0, w.now.ms())
					}
				}
				w.flush()
				if rng.IntN(30) == 0 {
					s := w.sources[rng.IntN(len(w.sources))]
					if err := k.DeleteTo(t.Context(), s, rng.Int64N(s.Head().TieredEnd+1)); err != nil {
						t.Fatal(err)
					}
					k.Pass(t.Context())
				}
				if rng.IntN(20) == 0 {
					w.orphan(metadata.Object{Writer: 7, Seq: w.names.Next().Seq}, w.sources[0].id, true)
				}
				if round%25 == 24 {
					w.collect(c)
				}
			}
			w.collect(c)
			want := w.named()
			got := append(w.objectsIn(PrefixData), w.objectsIn(PrefixPages)...)
			for _, key := range got {
				if !want[key] {
					t.Errorf("%s is garbage and still there", key)
				}
				delete(want, key)
			}
			for key := range want {
				t.Errorf("%s is named and gone", key)
			}
			for _, s := range w.sources {
				w.checkHistory(s, s.Head().LogStart, 500)
			}
		})
	}
}

// orphan puts an object that nothing leads to, as a crash would leave it.
func (w *world) orphan(o metadata.Object, p id.Partition, settled bool) string {
	w.t.Helper()
	b := newBuilder(nil, 0, w.now.ms(), func() bool { return false }, newZip(1))
	b.begin(p, "orphaned")
	batch := randomBatch(w.t, newRand(o.Seq), kafka.None, 1, 10, 1)
	batch.SetBaseOffset(1 << 40)
	meta := Batch{Base: 1 << 40, End: 1<<40 + 1, Size: int32(len(batch))}
	if err := b.addCopy(&meta, batch); err != nil {
		w.t.Fatal(err)
	}
	b.end(nil, nil)
	if err := w.bucket.Put(w.t.Context(), ObjectKey(o), bytes.NewReader(b.finish(o))); err != nil {
		w.t.Fatal(err)
	}
	if settled {
		w.names.Settle(o)
	}
	return ObjectKey(o)
}

func (w *world) there(key string) bool {
	w.t.Helper()
	_, err := w.bucket.Head(context.Background(), key)
	if err != nil && !errors.Is(err, s3store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

// In doubt an object stays.
func TestCollectorKeepsInDoubt(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
	w.flush()
	unknown := id.Partition{Topic: id.Topic{99}}
	put := func(key, body string) string {
		if err := w.bucket.Put(t.Context(), key, bytes.NewReader([]byte(body))); err != nil {
			t.Fatal(err)
		}
		return key
	}
	garbage := w.orphan(metadata.Object{Writer: 3, Seq: 1}, s.id, false) // an older owner's
	keep := map[string]string{
		"may still be committed":       w.orphan(w.names.Next(), s.id, false),
		"of a topic that nobody knows": w.orphan(metadata.Object{Writer: 3, Seq: 2}, unknown, false),
		"not Varve's":                  put("data/readme.txt", "hello"),
		"not an object":                put(ObjectKey(metadata.Object{Writer: 3, Seq: 3}), "what is this?"),
		"not a page":                   put(PageKey(metadata.Object{Writer: 3, Seq: 4}), "what is this?"),
		"under another's name":         put(ObjectKey(metadata.Object{Writer: 3, Seq: 5}), string(w.objectBytes(garbage))),
		"named by a head":              ObjectKey(s.Head().Slices[0].Object),
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
	s := w.source(1, 0)
	for range 100 {
		s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		w.flush()
	}
	before := len(w.objectsIn(""))
	w.meta = metadata.NewMemory()
	w.collect(w.collector(eager()))
	if n := len(w.objectsIn("")); n != before {
		t.Errorf("%d of %d objects are left", n, before)
	}
}

// Errors of the bucket or of etcd delete nothing, and a later pass completes.
func TestCollectorErrors(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	for range 100 {
		s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		w.flush()
	}
	garbage := w.orphan(metadata.Object{Writer: 3, Seq: 1}, s.id, false)
	named := w.named()
	c := w.collector(eager())
	rng := newRand(8)
	w.faults = func(s3store.Call) s3store.Fault {
		if rng.IntN(8) == 0 {
			return s3store.Fault{Before: errInjected}
		}
		return s3store.Fault{}
	}
	failed := 0
	for range 50 {
		if c.Pass(t.Context()) != nil {
			failed++
		}
	}
	w.faults = nil
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
	s := w.source(1, 0)
	cfg := eager()
	cfg.SweepObjects = 1
	c := w.collector(cfg)
	keep := Retention{-1, -1}
	k := w.keeper(&keep, c.Offer)
	for range 40 {
		s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		w.flush()
	}
	if err := k.DeleteTo(t.Context(), s, 30); err != nil {
		t.Fatal(err)
	}
	w.collect(c)
	if n := len(w.objectsIn(PrefixData)); n != 10 {
		t.Errorf("%d objects are left of 40, 30 were dropped", n)
	}
}

// TestPurgeIsAnnounced: a topic whose heads begin to go can't be had back with the rest
// of them, also if the window is longer by then.
func TestPurgeIsAnnounced(t *testing.T) {
	w := newWorld(t, testConfig())
	const partitions = metadata.MaxTxnOps + 10
	topic := metadata.Topic{ID: id.Topic{9}, Partitions: partitions, Created: time.Now()}
	handle := w.meta.Open()
	for i := range int32(partitions) {
		at := id.Partition{Topic: topic.ID, Index: i}
		if _, err := handle.Txn(t.Context(), nil, metadata.Put(metadata.HeadKey(at), (&metadata.Head{Owner: 1, Epoch: 1}).Encode())); err != nil {
			t.Fatal(err)
		}
	}
	key := metadata.DeletedKey(topic.ID)
	deleted := metadata.DeletedTopic{Name: "gone", Deleted: time.Now().Add(-time.Hour), Topic: topic}
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(key, deleted.Encode())); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		heads, _, err := handle.List(t.Context(), metadata.TopicHeads(topic.ID))
		if err != nil {
			t.Fatal(err)
		}
		return len(heads)
	}
	c := w.collector(eager())
	c.deps.Meta = &failing{c.deps.Meta, 2} // the announcement, the first heads, and no more
	if err := c.Pass(t.Context()); err == nil || left() != partitions-metadata.MaxTxnOps {
		t.Fatalf("%v, %d heads are left", err, left())
	}
	kv, err := handle.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := metadata.DecodeDeletedTopic(kv.Value); err != nil || !d.Purged {
		t.Errorf("%+v, %v", d, err)
	}
	longer := eager()
	longer.UndeleteWindow = 2 * time.Hour
	w.collect(w.collector(longer))
	if n := left(); n != 0 {
		t.Errorf("%d heads are left", n)
	}
}

// failing writes a number of times.
type failing struct {
	metadata.Store
	writes int
}

func (f *failing) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if f.writes--; f.writes < 0 {
		return 0, metadata.ErrUnavailable
	}
	return f.Store.Txn(ctx, guards, ops...)
}

// A deleted topic can be had back within its window; then all of it goes, and its
// record last, but nothing of other topics that share its objects.
func TestTopicDeletion(t *testing.T) {
	w := newWorld(t, testConfig())
	gone, stays := w.source(1, 0), w.source(2, 0)
	for range 100 {
		for _, s := range w.sources {
			s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		}
		w.flush()
		gone.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
		w.flush()
	}
	all := len(w.objectsIn(""))
	handle := w.meta.Open()
	deleted := metadata.DeletedTopic{Name: "gone", Deleted: time.Now().Add(-time.Hour), Topic: metadata.Topic{ID: gone.id.Topic, Partitions: 1, Created: time.Now()}}
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(metadata.DeletedKey(gone.id.Topic), deleted.Encode())); err != nil {
		t.Fatal(err)
	}
	cfg := eager()
	cfg.UndeleteWindow = 2 * time.Hour
	w.collect(w.collector(cfg))
	kept := w.named()
	for key := range kept {
		if !w.there(key) {
			t.Fatalf("%s went within the window", key)
		}
	}
	w.sources = []*fakeSource{stays}
	c := w.collector(eager())
	w.collect(c)
	if _, err := handle.Get(t.Context(), metadata.HeadKey(gone.id)); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("the head of the deleted topic: %v", err)
	}
	want := w.named()
	for _, key := range w.objectsIn("") {
		if !want[key] {
			t.Errorf("%s of the deleted topic is still there", key)
		}
	}
	if n := len(w.objectsIn("")); n >= all {
		t.Errorf("%d objects of %d are left", n, all)
	}
	w.checkHistory(stays, 0, 1000)
	if _, err := handle.Get(t.Context(), metadata.DeletedKey(gone.id.Topic)); err != nil {
		t.Errorf("the record went although bundles still hold slices of the topic: %v", err)
	}
	keep := Retention{-1, 0}
	w.keeper(&keep, nil).Pass(t.Context())
	w.collect(c)
	w.collect(c)
	if n := len(w.objectsIn("")); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	if _, err := handle.Get(t.Context(), metadata.DeletedKey(gone.id.Topic)); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("the record of the topic whose data is gone: %v", err)
	}
}

// Between PUT and commit an object is nobody's garbage, whatever is collected
// meanwhile (promise 3).
func TestCollectorBesideUploads(t *testing.T) {
	w := newWorld(t, testConfig())
	for i := range 3 {
		w.source(1, int32(i))
	}
	c := w.collector(eager())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := c.Pass(ctx); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	rng := newRand(5)
	for range 200 {
		for _, s := range w.sources {
			s.produce(randomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.now.ms())
		}
		w.flush()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for key := range w.named() {
		if !w.there(key) {
			t.Errorf("%s is named and gone", key)
		}
	}
	for _, s := range w.sources {
		w.checkHistory(s, 0, 1000)
	}
}

// What a judge knows of a head never is older than the floor it goes by: else a
// slice that was committed in between would look abandoned.
func TestJudgeReadsHeadsAfterFloors(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.source(1, 0)
	c := w.collector(eager())
	j, err := c.judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	judge := func(o metadata.Object) verdict {
		key := ObjectKey(o)
		found, err := w.bucket.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := j.object(t.Context(), o, found)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	old := metadata.Object{Writer: 3, Seq: 1}
	w.orphan(old, s.id, false)
	if v := judge(old); v != remove { // and the head is known from now on
		t.Errorf("garbage is judged %v", verdictNames[v])
	}
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
	w.flush()
	if v := judge(s.Head().Slices[0].Object); v != keepNamed {
		t.Errorf("what was just committed is judged %v", verdictNames[v])
	}
}

// Nor is it older than the object: else what a new owner uploads and commits while
// a pass goes on looks like what a former one left behind.
func TestCollectorBesideAMove(t *testing.T) {
	w := newWorld(t, testConfig())
	s := newFakeSource(t, w.heads, id.Partition{Topic: id.Topic{1}}, 3, 0) // another agent's
	w.sources = append(w.sources, s)
	c := w.collector(eager())
	dropped := w.names.Next()
	w.orphan(dropped, s.id, true)
	c.Offer([]metadata.Object{dropped})
	var once sync.Once
	w.faults = func(call s3store.Call) s3store.Fault {
		if call.Op == s3store.OpList { // the pass knows the head by what was offered
			once.Do(func() {
				if err := s.Commit(t.Context(), func(h *metadata.Head) error { h.Give(w.names.Writer(), 1); return nil }); err != nil {
					t.Error(err)
				}
				s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 1, w.now.ms())
				w.flush()
			})
		}
		return s3store.Fault{}
	}
	w.collect(c)
	if w.there(ObjectKey(dropped)) {
		t.Error("the pass didn't judge what was offered")
	}
	if key := ObjectKey(s.Head().Slices[0].Object); !w.there(key) {
		t.Errorf("%s is named by the head, and gone", key)
	}
}

// While somebody has to decide what is garbage nothing is deleted.
func TestGarbageIsHeld(t *testing.T) {
	w := newWorld(t, testConfig())
	handle := w.meta.Open()
	defer handle.Close()
	s := w.source(1, 0)
	s.produce(randomBatch(t, newRand(1), kafka.None, 1, 10, 1), 0, w.now.ms())
	w.flush()
	key := w.orphan(metadata.Object{Writer: 7, Seq: w.names.Next().Seq}, s.id, true)
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(metadata.KeyGarbageHeld, []byte("why"))); err != nil {
		t.Fatal(err)
	}
	c := w.collector(eager())
	w.collect(c)
	if !slices.Contains(w.objectsIn(PrefixData), key) {
		t.Fatal("it is gone")
	}
	if _, err := handle.Txn(t.Context(), nil, metadata.Delete(metadata.KeyGarbageHeld)); err != nil {
		t.Fatal(err)
	}
	w.collect(c)
	if slices.Contains(w.objectsIn(PrefixData), key) {
		t.Error("it stays for ever")
	}
}
