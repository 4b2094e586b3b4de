package ownjournal

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// self is the store of the agent that the tests are about.
var self = id.Store{1}

// newView makes a view of a cluster that has one agent, broker 1, with a journal.
func newView(t *testing.T) (*cluster.View, metadata.Store) {
	t.Helper()
	meta := metadata.NewMemory().Open()
	me := schema.Agent{Incarnation: 1, Store: self, Rack: "a", Peer: "h:1"}
	rec := schema.Journal{State: schema.JournalOpen, Broker: 1, Ensemble: []id.Store{self}, Quorum: 1}
	if _, err := meta.Txn(t.Context(), nil, metadata.Put(schema.AgentKey(1), me.Encode()), metadata.Put(schema.JournalKey(id.Journal{Writer: 1, Seq: 1}), rec.Encode())); err != nil {
		t.Fatal(err)
	}
	v := cluster.NewView(meta, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { v.Run(ctx) })
	t.Cleanup(func() { stop(); runs.Wait(); meta.Close() })
	<-v.Ready()
	return v, meta
}

// until waits for something that the view shows.
func until(t *testing.T, v *cluster.View, what string, ok func() bool) {
	t.Helper()
	for {
		changed := v.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestEnsembleChoice: a journal's members are in as many racks as there are; who leaves
// or has no address is none, who keeps little comes first, who is drained last.
func TestEnsembleChoice(t *testing.T) {
	view, meta := newView(t)
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
		put(metadata.Put(schema.AgentKey(l.b), schema.Agent{Incarnation: id.Incarnation(100 + l.b), Store: id.Store{byte(l.b)}, Rack: l.rack, Peer: l.peer, Leaving: l.gone}.Encode()))
	}
	until(t, view, "all are seen", func() bool { return len(view.Agents()) == 7 })
	check := func(what string, factor int, want ...byte) {
		t.Helper()
		got := look(view, self, nil).ensemble(&Config{Rack: "a", Factor: factor}, time.Now())
		if len(got) != len(want)+1 || got[0] != self {
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
	busy := schema.Journal{State: schema.JournalOpen, Broker: 4, Ensemble: []id.Store{{3}}, Quorum: 1}
	put(metadata.Put(schema.JournalKey(id.Journal{Writer: 104, Seq: 1}), busy.Encode()))
	until(t, view, "it is seen", func() bool { return len(view.Journals()) == 2 })
	check("3 keeps a journal", 3, 4, 5)
	put(metadata.Put(schema.DrainKey(4), schema.Drain{}.Encode()))
	until(t, view, "it is seen", func() bool { return view.Drained()[4] })
	check("4 is drained", 3, 5, 2)
	check("4 is drained, all are needed", 5, 5, 2, 3, 4)
}

// TestBetterEnsemble: a member that is gone makes room for any other, a drained one only for
// one that isn't drained: two of these would take turns for ever.
func TestBetterEnsemble(t *testing.T) {
	view, meta := newView(t)
	const long = 10 * time.Second
	cfg := Config{Factor: 3, Quorum: 2, ReplaceAfter: long}
	live := func(b id.Broker) metadata.Op {
		return metadata.Put(schema.AgentKey(b), schema.Agent{Incarnation: id.Incarnation(100 + b), Store: id.Store{byte(b)}, Peer: "h:1"}.Encode())
	}
	drain := func(b id.Broker) metadata.Op { return metadata.Put(schema.DrainKey(b), schema.Drain{}.Encode()) }
	gone := func(b id.Broker) metadata.Op { return metadata.Delete(schema.AgentKey(b)) }
	undrain := func(b id.Broker) metadata.Op { return metadata.Delete(schema.DrainKey(b)) }
	wiped := func(b id.Broker) metadata.Op {
		return metadata.Put(schema.AgentKey(b), schema.Agent{Incarnation: id.Incarnation(200 + b), Store: id.Store{byte(10 + b)}, Peer: "h:1"}.Encode())
	}
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
				if err := view.Await(t.Context(), op.Key[:strings.Index(op.Key, "/")+1], rev); err != nil {
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
		rec := cluster.Journal{Journal: schema.Journal{State: schema.JournalOpen, Ensemble: append([]id.Store{self}, stores(step.has)...)}}
		s := look(view, self, nil)
		s.noteMoved(view, rec.Ensemble)
		got, patience := s.betterEnsemble(&cfg, &rec, time.Now())
		if step.want == nil && got != nil || step.want != nil && (len(got) == 0 || !slices.Equal(got[1:], stores(step.want))) || patience != step.patience {
			t.Errorf("%s: from %v to %v after %v", step.what, step.has, got, patience)
		}
	}
}
