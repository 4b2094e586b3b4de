package owner

import (
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestAdoptionIsGivenUpWithThePartition: a partition that gets another owner while its
// tail is read isn't served here, whatever was read. One that stays this agent's is.
func TestAdoptionIsGivenUpWithThePartition(t *testing.T) {
	for name, lost := range map[string]bool{"it is another's": true, "it is still this agent's": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			topic := schema.Topic{ID: id.Topic{7}, Partitions: 1}
			at := id.Partition{Topic: topic.ID}
			const writer = 201
			peer := id.Store{9}
			j := id.Journal{Writer: writer, Seq: 1}
			w.put(metadata.Put(schema.AgentKey(9), schema.Agent{Incarnation: writer + 1, Store: peer, Peer: "h:1"}.Encode()))
			w.put(metadata.Put(schema.JournalKey(j), schema.Journal{State: schema.JournalSealed, Broker: 9, Ensemble: []id.Store{peer}, Quorum: 1, End: 5}.Encode()))
			head := schema.Head{}
			head.Give(writer, 9)
			head.Give(me, 1)
			w.put(schema.StoredHead{Partition: at}.Ops(&head)...)
			w.put(metadata.Put(schema.TopicKey("t"), topic.Encode()))
			w.pass(t.Context())
			if got := <-w.asked; got != j {
				t.Fatalf("journal %v was asked for", got)
			}
			c := w.memory.tries[at].c
			if lost {
				head.Give(other, 2)
				w.put(schema.StoredHead{Partition: at}.Ops(&head)...)
				w.pass(t.Context())
			}
			w.reading.hand([]*candidate{c}) // as if the peer had answered
			w.pass(t.Context())
			if served := w.deps.Set.Get(at) != nil; served == lost {
				t.Errorf("served here: %v", served)
			}
		})
	}
}
