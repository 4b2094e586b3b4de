package agent

import (
	"testing"

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
