package owner

import (
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestViewThatLags: a view that still shows this agent as the owner of a partition that it has
// given away doesn't bring it back: what producers append here would be acknowledged, and no
// later owner would know of it.
func TestViewThatLags(t *testing.T) {
	for name, partitions := range map[string]int32{"one": 1, "so many that they are listed": listFrom} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			topic := schema.Topic{ID: id.Topic{7}, Partitions: partitions}
			w.put(metadata.Put(schema.TopicKey("t"), topic.Encode()))
			heads := make([]schema.Head, partitions)
			for i := range heads {
				heads[i].Give(me, 1)
				w.put(schema.StoredHead{Partition: id.Partition{Topic: topic.ID, Index: int32(i)}}.Ops(&heads[i])...)
			}
			w.pass(t.Context())
			w.etcd.SetConnected(false) // the view stands still
			for i := range heads {
				at := id.Partition{Topic: topic.ID, Index: int32(i)}
				p := w.deps.Set.Get(at)
				if p == nil {
					t.Fatalf("%v isn't served", at)
				}
				p.Pause()
				if err := p.HandOver(t.Context(), other, 2); err != nil {
					t.Fatal(err)
				}
				w.deps.Set.Lose(p)
			}
			w.pass(t.Context())
			if n := w.deps.Set.Len(); n > 0 {
				t.Errorf("%d partitions are served here again, which are another agent's", n)
			}
			w.etcd.SetConnected(true)
		})
	}
}
