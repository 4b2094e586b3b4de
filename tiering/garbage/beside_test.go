package garbage

import (
	"context"
	"errors"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/retain"
	"varve/tiering/tiertest"
)

// Between PUT and commit an object is not garbage, whatever is collected
// meanwhile (promise 3).
func TestCollectorBesideUploads(t *testing.T) {
	w := newWorld(t, testConfig())
	for i := range 3 {
		w.Source(1, int32(i))
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
	rng := tiertest.Rand(5)
	for range 200 {
		for _, s := range w.Sources {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 30, 1), 0, w.Now.Millis())
		}
		w.Flush()
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
	for _, s := range w.Sources {
		w.CheckHistory(s, 0, 1000)
	}
}

// What a proof knows of a head never is older than the floor it goes by: else a
// slice that was committed in between would look abandoned.
func TestProofReadsHeadsAfterFloors(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	c := w.collector(eager())
	pr, err := c.newProof(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	judge := func(o schema.Object) verdict {
		key := object.Key(o)
		found, err := w.Bucket.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := pr.object(t.Context(), o, found)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	old := schema.Object{Writer: 3, Seq: 1}
	w.orphan(old, s.ID, false)
	if v := judge(old); v != remove { // and the head is known from now on
		t.Errorf("garbage is judged %v", verdictNames[v])
	}
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
	w.Flush()
	if v := judge(s.Head().Slices[0].Object); v != keepNamed {
		t.Errorf("what was just committed is judged %v", verdictNames[v])
	}
}

// Nor is it older than the object: else what a new owner uploads and commits while
// a pass goes on looks like what a former one left behind.
func TestCollectorBesideAMove(t *testing.T) {
	w := newWorld(t, testConfig())
	s := tiertest.NewSource(t, w.Heads, id.Partition{Topic: id.Topic{1}}, 3, 0) // another agent's
	w.Sources = append(w.Sources, s)
	c := w.collector(eager())
	dropped := w.IDs.Next()
	w.orphan(dropped, s.ID, true)
	c.Offer([]schema.Object{dropped})
	var once sync.Once
	w.Inject(func(call s3store.Call) s3store.Fault {
		if call.Op == s3store.OpList { // the pass knows the head by what was offered
			once.Do(func() {
				if err := s.UpdateHead(t.Context(), func(h *schema.Head) error { h.Give(w.IDs.Writer(), 1); return nil }); err != nil {
					t.Error(err)
				}
				s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 1, w.Now.Millis())
				w.Flush()
			})
		}
		return s3store.Fault{}
	})
	w.collect(c)
	if w.there(object.Key(dropped)) {
		t.Error("the pass didn't judge what was offered")
	}
	if key := object.Key(s.Head().Slices[0].Object); !w.there(key) {
		t.Errorf("%s is named by the head, and gone", key)
	}
}

// A slow edit of a range of which retention takes a part is refused, and leaves nothing but
// orphans, which are collected.
func TestRefusedEditLeavesOrphans(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	for range 6 {
		s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		w.Flush()
	}
	was := s.Head().Slices[1:4]
	made := was[0]
	made.End, made.Object = was[2].End, w.IDs.Next()
	edit := manifest.Edit{From: made.Base, To: made.End, Was: was, Now: []schema.Slice{made}}
	key := w.orphan(made.Object, s.ID, false)
	c := w.collector(eager())
	if err := w.retention(&retain.Limits{Ms: -1, Bytes: -1}, c.Offer).DeleteTo(t.Context(), s, was[1].End); err != nil {
		t.Fatal(err)
	}
	w.collect(c)
	if !w.there(key) {
		t.Error("it was collected although it could be committed")
	}
	pages := w.PageWriter(w.reader)
	if _, _, err := edit.Commit(t.Context(), s, pages, ""); !errors.Is(err, manifest.ErrChanged) {
		t.Fatalf("it ends with %v", err)
	}
	pages.Settle()
	w.IDs.Settle(made.Object)
	w.collect(c)
	if w.there(key) {
		t.Error("the orphan stays")
	}
	if n := len(w.ObjectsIn(object.PrefixData)); n != 3 {
		t.Errorf("%d objects are left, want the 3 that are named", n)
	}
	w.CheckHistory(s, s.Head().LogStart, 1000)
}
