package agent

import (
	"fmt"
	"testing"

	"varve/metadata/schema"

	"github.com/twmb/franz-go/pkg/kadm"
)

// A topic that was deleted takes along what groups committed for it, whichever agent
// coordinates them: a new topic of its name is read from its beginning.
func TestOffsetsOfDeletedTopics(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	two := w.beside(2)
	one.until("slots are shared", func() bool {
		brokers := map[int32]bool{}
		for _, o := range one.view.Slots() {
			brokers[int32(o.Broker)] = true
		}
		return len(brokers) == 2
	})
	adm := kadm.NewClient(one.client())
	create := func() {
		t.Helper()
		if r, err := adm.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
	}
	create()
	const groups = 20
	for i := range groups {
		o := kadm.Offsets{}
		o.AddOffset("t", 0, 5000, -1)
		if err := adm.CommitAllOffsets(t.Context(), fmt.Sprint("g", i), o); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	create()
	// As in Kafka, an agent answers by the metadata that it has. It follows within moments.
	for _, a := range []*running{one, two} {
		a.until("it knows the new topic", func() bool {
			topic, ok := a.view.Topic("t")
			deleted := a.view.Deleted()
			if !ok || len(deleted) != 1 {
				return false
			}
			_, old := deleted[topic.ID]
			return !old
		})
	}
	for i := range groups {
		r, err := adm.FetchOffsets(t.Context(), fmt.Sprint("g", i))
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := r.Lookup("t", 0); ok {
			t.Errorf("g%d has offset %d in the new topic", i, o.At)
		}
	}
	left := func() int {
		kvs, _, err := one.deps.Meta.List(t.Context(), schema.PrefixOffsets)
		if err != nil {
			t.Fatal(err)
		}
		return len(kvs)
	}
	if n := left(); n != groups {
		t.Fatalf("%d offsets are stored", n)
	}
	for _, a := range []*running{one, two} {
		a.until("it knows of the deletion", func() bool { return len(a.view.Deleted()) == 1 })
		if told := a.serves.slots.forgetDeleted(t.Context(), nil); len(told) != 1 {
			t.Errorf("told %v", told)
		}
	}
	one.until("the old offsets are removed", func() bool { return left() == 0 })
}
