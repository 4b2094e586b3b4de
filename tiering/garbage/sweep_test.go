package garbage

import (
	"testing"
	"time"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// deletedTopic records that a topic was deleted, and that it can't be had back.
func (w *world) deletedTopic(topic id.Topic) (key string) {
	w.T.Helper()
	key = schema.DeletedKey(topic)
	d := schema.DeletedTopic{Name: "gone", Deleted: time.Unix(0, 0), Topic: schema.Topic{ID: topic, Partitions: 1}}
	w.putKey(key, d.Encode())
	return key
}

func (w *world) putKey(key string, value []byte) {
	w.T.Helper()
	m := w.Meta.Open()
	defer m.Close()
	if _, err := m.Txn(w.T.Context(), nil, metadata.Put(key, value)); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) hasKey(key string) bool {
	w.T.Helper()
	m := w.Meta.Open()
	defer m.Close()
	kvs, _, err := m.List(w.T.Context(), key)
	if err != nil {
		w.T.Fatal(err)
	}
	return len(kvs) > 0
}

// One object that can't be judged stays, and doesn't hold up what follows it; nor is
// it forgotten to which topic it may belong.
func TestSweepPassesOverWhatFails(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		passes int
	}{
		"denied":    {s3store.ErrDenied, 1},
		"transient": {tiertest.ErrInjected, passesAtOne},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testConfig())
			topic := id.Topic{9}
			record := w.deletedTopic(topic)
			before := w.orphan(schema.Object{Writer: 3, Seq: 1}, id.Partition{Topic: topic}, false)
			bad := w.orphan(schema.Object{Writer: 3, Seq: 2}, id.Partition{Topic: topic}, false)
			behind := w.orphan(schema.Object{Writer: 3, Seq: 3}, id.Partition{Topic: topic}, false)
			w.Inject(func(call s3store.Call) s3store.Fault {
				if call.Op == s3store.OpGet && call.Key == bad {
					return s3store.Fault{Before: c.err}
				}
				return s3store.Fault{}
			})
			collector := w.collector(eager())
			for n := 1; n <= c.passes; n++ {
				if err := collector.Pass(t.Context()); (err != nil) != (n < c.passes) {
					t.Fatalf("pass %d: %v", n, err)
				}
			}
			if w.there(before) || !w.there(bad) || w.there(behind) {
				t.Errorf("before: %v, bad: %v, behind: %v", w.there(before), w.there(bad), w.there(behind))
			}
			if !w.hasKey(record) {
				t.Error("the deleted topic is forgotten, and what is left of it stays for ever")
			}
			w.Inject(nil)
			w.collect(collector)
			w.collect(collector)
			if w.there(bad) || w.hasKey(record) {
				t.Errorf("when it can be read again: object %v, record %v", w.there(bad), w.hasKey(record))
			}
		})
	}
}

// A dropped object that fails is left to sweeping: the others go.
func TestOfferedObjectThatFails(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 10, 1), 0, w.Now.Millis())
	w.Flush()
	var offered []schema.Object
	for n := range uint64(20) {
		offered = append(offered, schema.Object{Writer: 3, Seq: n + 1})
		w.orphan(offered[n], s.ID, false)
	}
	bad := object.Key(offered[5])
	w.Inject(func(call s3store.Call) s3store.Fault {
		if call.Key == bad && call.Op != s3store.OpDelete {
			return s3store.Fault{Before: tiertest.ErrInjected}
		}
		return s3store.Fault{}
	})
	cfg := eager()
	cfg.SweepObjects = 1
	c := w.collector(cfg)
	c.Offer(offered)
	_ = c.Pass(t.Context())                               // the sweep may come by the bad one
	if n := len(w.ObjectsIn(object.PrefixData)); n != 2 { // the bad one, and the named one
		t.Errorf("%d objects are left", n)
	}
}

// A key that can't be decoded keeps what it is about, and nothing else.
func TestUndecodableKeysStopNothing(t *testing.T) {
	w := newWorld(t, testConfig())
	lost, gone := id.Partition{Topic: id.Topic{5}}, id.Partition{Topic: id.Topic{6}}
	w.putKey(schema.DeletedKey(id.Topic{4}), []byte{77})
	w.putKey(schema.OwnerKey(lost), schema.Ownership{Owner: 1}.Encode())
	w.putKey(schema.HeadKey(lost), []byte{77})
	w.deletedTopic(gone.Topic)
	keep := w.orphan(schema.Object{Writer: 3, Seq: 1}, lost, false)
	keepToo := w.orphan(schema.Object{Writer: 3, Seq: 2}, id.Partition{Topic: id.Topic{4}}, false)
	garbage := w.orphan(schema.Object{Writer: 3, Seq: 3}, gone, false)
	w.collect(w.collector(eager()))
	if !w.there(keep) || !w.there(keepToo) || w.there(garbage) {
		t.Errorf("of a head that can't be read: %v, of a record that can't be: %v, garbage: %v", w.there(keep), w.there(keepToo), w.there(garbage))
	}
}
