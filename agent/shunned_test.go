package agent

import (
	"net"
	"testing"
	"time"

	"varve/internal/id"
	"varve/metadata"
)

// TestSilentPeerStopsNobody: an agent that is registered, and answers nobody, is chosen
// for a journal once; then another keeps it.
func TestSilentPeerStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	meta := w.meta.Open()
	t.Cleanup(func() { _ = meta.Close() })
	session, err := meta.Session(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // whoever connects waits in its queue
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	chosen := metadata.Agent{Incarnation: 1 << 40, Store: id.Store{9}, Version: "test", Peer: silent.Addr().String()}
	if _, err := meta.Txn(t.Context(), nil, metadata.PutLeased(metadata.AgentKey(50), chosen.Encode(), session.Lease())); err != nil {
		t.Fatal(err)
	}
	join := func(broker int32, factor int) *running {
		other := newWorld(t)
		other.meta, other.bucket = w.meta, w.bucket
		other.change = func(c *Config) {
			c.BrokerID, c.Peer.Bind = broker, "127.0.0.1:0"
			c.Replication.Factor, c.Replication.Quorum = factor, factor
		}
		return other.start()
	}
	keeps := join(60, 1)
	c := join(70, 2)
	members := c.view.Journals()[c.journal.ID()].Ensemble
	if len(members) != 2 || members[1] != keeps.store.ID() {
		t.Errorf("kept by %v, not by %v", members, keeps.store.ID())
	}
}
