package garbage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/retain"
	"varve/tiering/tiertest"
)

// TestPurgeIsAnnounced: a topic whose heads begin to go can't be had back with the rest
// of them, also if the window is longer by then.
func TestPurgeIsAnnounced(t *testing.T) {
	w := newWorld(t, testConfig())
	const partitions = metadata.MaxTxnOps + 10
	topic := schema.Topic{ID: id.Topic{9}, Partitions: partitions, Created: time.Now()}
	handle := w.Meta.Open()
	for i := range int32(partitions) {
		at := id.Partition{Topic: topic.ID, Index: i}
		if _, err := handle.Txn(t.Context(), nil, schema.StoredHead{Partition: at}.Ops(&schema.Head{Ownership: schema.Ownership{Owner: 1, Epoch: 1}})...); err != nil {
			t.Fatal(err)
		}
	}
	key := schema.DeletedKey(topic.ID)
	deleted := schema.DeletedTopic{Name: "gone", Deleted: time.Now().Add(-time.Hour), Topic: topic}
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(key, deleted.Encode())); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		keys, err := w.collector(eager()).headKeys(t.Context(), topic.ID)
		if err != nil {
			t.Fatal(err)
		}
		return len(keys)
	}
	c := w.collector(eager())
	c.deps.Meta = &failing{c.deps.Meta, 2} // the announcement, the first heads, and no more
	if err := c.Pass(t.Context()); err == nil || left() != 2*partitions-metadata.MaxTxnOps {
		t.Fatalf("%v, %d keys are left", err, left())
	}
	kv, err := handle.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := schema.DecodeDeletedTopic(kv.Value); err != nil || !d.Purged {
		t.Errorf("%+v, %v", d, err)
	}
	longer := eager()
	longer.UndeleteWindow = 2 * time.Hour
	w.collect(w.collector(longer))
	if n := left(); n != 0 {
		t.Errorf("%d keys are left", n)
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
	gone, stays := w.Source(1, 0), w.Source(2, 0)
	for range 100 {
		for _, s := range w.Sources {
			s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		}
		w.Flush()
		gone.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
		w.Flush()
	}
	all := len(w.ObjectsIn(""))
	handle := w.Meta.Open()
	deleted := schema.DeletedTopic{Name: "gone", Deleted: time.Now().Add(-time.Hour), Topic: schema.Topic{ID: gone.ID.Topic, Partitions: 1, Created: time.Now()}}
	if _, err := handle.Txn(t.Context(), nil, metadata.Put(schema.DeletedKey(gone.ID.Topic), deleted.Encode())); err != nil {
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
	w.Sources = []*tiertest.Source{stays}
	c := w.collector(eager())
	w.collect(c)
	if _, err := handle.Get(t.Context(), schema.HeadKey(gone.ID)); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("the head of the deleted topic: %v", err)
	}
	if _, err := handle.Get(t.Context(), schema.OwnerKey(gone.ID)); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("the ownership of the deleted topic: %v", err)
	}
	want := w.named()
	for _, key := range w.ObjectsIn("") {
		if !want[key] {
			t.Errorf("%s of the deleted topic is still there", key)
		}
	}
	if n := len(w.ObjectsIn("")); n >= all {
		t.Errorf("%d objects of %d are left", n, all)
	}
	w.CheckHistory(stays, 0, 1000)
	if _, err := handle.Get(t.Context(), schema.DeletedKey(gone.ID.Topic)); err != nil {
		t.Errorf("the record went although bundles still hold slices of the topic: %v", err)
	}
	keep := retain.Limits{Ms: -1, Bytes: 0}
	w.retention(&keep, nil).Pass(t.Context())
	w.collect(c)
	w.collect(c)
	if n := len(w.ObjectsIn("")); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	if _, err := handle.Get(t.Context(), schema.DeletedKey(gone.ID.Topic)); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("the record of the topic whose data is gone: %v", err)
	}
}

// listed is a metadata store in which something happens after the first List of a prefix.
type listed struct {
	metadata.Store
	under string
	then  func()
}

func (l *listed) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	kvs, rev, err := l.Store.List(ctx, prefix)
	if f := l.then; f != nil && strings.HasSuffix(prefix, l.under) {
		l.then = nil
		f()
	}
	return kvs, rev, err
}

// TestHeadWrittenWhileTopicIsPurged: a topic isn't without heads if its owner stores the first
// one while another collector takes the ownership away: the record of the topic has to stay
// until the head is gone, too.
func TestHeadWrittenWhileTopicIsPurged(t *testing.T) {
	w := newWorld(t, testConfig())
	at := id.Partition{Topic: id.Topic{9}}
	w.deletedTopic(at.Topic)
	w.putKey(schema.OwnerKey(at), schema.Ownership{Owner: 3}.Encode())
	c := w.collector(eager())
	m := w.Meta.Open()
	defer m.Close()
	c.deps.Meta = &listed{m, at.Topic.Hex() + "/", func() {
		if _, err := m.Txn(t.Context(), nil, metadata.Put(schema.HeadKey(at), new(schema.Head).Encode()), metadata.Delete(schema.OwnerKey(at))); err != nil {
			t.Error(err)
		}
	}}
	pr, err := c.newProof(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := c.headless(t.Context(), pr); err != nil || gone[at.Topic] {
		t.Errorf("the topic counts as without heads: %v, %v", gone, err)
	}
}
