package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
)

// TestEnsembleChoice: a journal's members are in as many racks as there are; who leaves
// or has no address is none, who keeps little comes first, who is drained last.
func TestEnsembleChoice(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Rack = "a" }
	one := w.start()
	meta := w.meta.Open()
	defer meta.Close()
	put := func(ops ...metadata.Op) {
		t.Helper()
		if _, err := meta.Txn(t.Context(), nil, ops...); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct {
		b    id.Broker
		rack string
		peer string
		gone bool
	}{{2, "a", "h:2", false}, {3, "b", "h:3", false}, {4, "c", "h:4", false}, {5, "b", "h:5", false}, {6, "d", "h:6", true}, {7, "e", "", false}} {
		put(metadata.Put(metadata.AgentKey(l.b), metadata.Agent{Incarnation: id.Incarnation(100 + l.b), Store: id.Store{byte(l.b)}, Rack: l.rack, Peer: l.peer, Leaving: l.gone}.Encode()))
	}
	one.until("all are seen", func() bool { return len(one.view.Agents()) == 7 })
	a := &Agent{cfg: one.cfg, view: one.view, store: one.store}
	check := func(what string, factor int, want ...byte) {
		t.Helper()
		a.cfg.Replication.Factor = factor
		got := a.ensemble()
		if len(got) != len(want)+1 || got[0] != one.store.ID() {
			t.Errorf("%s: %v", what, got)
			return
		}
		for i, b := range want {
			if got[i+1] != (id.Store{b}) {
				t.Errorf("%s: member %d is %v, want %d", what, i+1, got[i+1], b)
			}
		}
	}
	check("racks", 3, 3, 4)
	check("more than racks", 5, 3, 4, 2, 5)
	check("more than agents", 7, 3, 4, 2, 5)
	busy := metadata.Journal{State: metadata.JournalOpen, Broker: 4, Ensemble: []id.Store{{3}}, Quorum: 1}
	put(metadata.Put(metadata.JournalKey(id.Journal{Writer: 104, Seq: 1}), busy.Encode()))
	one.until("it is seen", func() bool { return len(one.view.Journals()) == 2 })
	check("3 keeps a journal", 3, 4, 5)
	put(metadata.Put(metadata.DrainKey(4), metadata.Drain{}.Encode()))
	one.until("it is seen", func() bool { return one.view.Drained()[4] })
	check("4 is drained", 3, 5, 2)
	check("4 is drained, all are needed", 5, 5, 2, 3, 4)
}

// TestBetterEnsemble: a member that is gone makes room for any other, a drained one only for
// one that isn't drained: two of these would take turns for ever.
func TestBetterEnsemble(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	meta := w.meta.Open()
	defer meta.Close()
	a := &Agent{cfg: one.cfg, view: one.view, store: one.store, peers: one.peers, journal: one.journal}
	a.cfg.Replication.Factor, a.cfg.Replication.Quorum = 3, 2
	live := func(b id.Broker) metadata.Op {
		return metadata.Put(metadata.AgentKey(b), metadata.Agent{Incarnation: id.Incarnation(100 + b), Store: id.Store{byte(b)}, Peer: "h:1"}.Encode())
	}
	drain := func(b id.Broker) metadata.Op { return metadata.Put(metadata.DrainKey(b), metadata.Drain{}.Encode()) }
	gone := func(b id.Broker) metadata.Op { return metadata.Delete(metadata.AgentKey(b)) }
	undrain := func(b id.Broker) metadata.Op { return metadata.Delete(metadata.DrainKey(b)) }
	wiped := func(b id.Broker) metadata.Op {
		return metadata.Put(metadata.AgentKey(b), metadata.Agent{Incarnation: id.Incarnation(200 + b), Store: id.Store{byte(10 + b)}, Peer: "h:1"}.Encode())
	}
	long := a.cfg.Replication.ReplaceAfter
	for _, step := range []struct {
		what     string
		ops      []metadata.Op
		has      []byte
		want     []byte // besides this agent's; nil: no other
		patience time.Duration
	}{
		{"all are well", []metadata.Op{live(2), live(3), live(4)}, []byte{2, 3}, nil, 0},
		{"there is room", nil, []byte{3}, []byte{3, 2}, growAfter},
		{"2 is drained", []metadata.Op{drain(2)}, []byte{2, 3}, []byte{3, 4}, long},
		{"2 and 4 are drained", []metadata.Op{drain(4)}, []byte{2, 3}, nil, 0},
		{"4 and 2 are drained", nil, []byte{3, 4}, nil, 0},
		{"there is room beside 4", nil, []byte{4}, []byte{3, 4}, growAfter},
		{"2 and 4 are members", nil, []byte{2, 4}, []byte{3, 2}, long},
		{"2 is gone, 4 is drained", []metadata.Op{gone(2)}, []byte{2, 3}, []byte{3, 4}, long},
		{"2 is back, 4 is not drained", []metadata.Op{live(2), undrain(4)}, []byte{2, 3}, []byte{3, 4}, long},
		{"2 has another store", []metadata.Op{wiped(2)}, []byte{2, 3}, []byte{3, 4}, 0},
		{"2 has another store, 3 may be back", []metadata.Op{gone(3)}, []byte{2, 3}, []byte{4, 12}, long},
		{"3 is back", []metadata.Op{live(3)}, []byte{2, 3}, []byte{3, 4}, 0},
	} {
		if len(step.ops) > 0 {
			rev, err := meta.Txn(t.Context(), nil, step.ops...)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range step.ops {
				if err := one.view.Await(t.Context(), op.Key[:strings.Index(op.Key, "/")+1], rev); err != nil {
					t.Fatal(err)
				}
			}
		}
		stores := func(brokers []byte) (all []id.Store) {
			for _, b := range brokers {
				all = append(all, id.Store{b})
			}
			return all
		}
		rec := cluster.Journal{Journal: metadata.Journal{State: metadata.JournalOpen, Ensemble: append([]id.Store{one.store.ID()}, stores(step.has)...)}}
		got, patience := a.betterEnsemble(&rec)
		if step.want == nil && got != nil || step.want != nil && (len(got) == 0 || !slices.Equal(got[1:], stores(step.want))) || patience != step.patience {
			t.Errorf("%s: from %v to %v after %v", step.what, step.has, got, patience)
		}
	}
}
