package owner

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// TestHeirs: an heir lives, has an open journal and doesn't leave; one that is drained is an
// heir only if no other is there.
func TestHeirs(t *testing.T) {
	agent := func(b id.Broker, leaving bool) cluster.Live {
		return cluster.Live{Broker: b, Agent: schema.Agent{Incarnation: id.Incarnation(b), Leaving: leaving}}
	}
	journals := map[id.Journal]cluster.Journal{}
	for i, state := range map[id.Incarnation]schema.JournalState{1: schema.JournalOpen, 2: schema.JournalOpen, 3: schema.JournalOpen, 4: schema.JournalSealed, 5: schema.JournalOpen} {
		journals[id.Journal{Writer: i, Seq: 1}] = cluster.Journal{Journal: schema.Journal{State: state}}
	}
	all := []cluster.Live{agent(1, false), agent(2, false), agent(3, false), agent(4, false), agent(5, true), agent(6, false)}
	for name, x := range map[string]struct {
		drained map[id.Broker]bool
		want    []id.Broker
	}{
		"none is drained": {nil, []id.Broker{2, 3}},
		"one is drained":  {map[id.Broker]bool{2: true}, []id.Broker{3}},
		"all are drained": {map[id.Broker]bool{2: true, 3: true}, []id.Broker{2, 3}},
	} {
		var got []id.Broker
		for _, l := range heirs(1, all, journals, x.drained) {
			got = append(got, l.Broker)
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSpread: partitions go to the agents that have the fewest.
func TestSpread(t *testing.T) {
	var all []*partition.Partition
	owners := map[id.Partition]cluster.Owner{}
	for i := range int32(6) {
		p := partition.New(&partition.Deps{}, schema.StoredHead{Partition: id.Partition{Index: i}, Head: &schema.Head{}}, new(partition.Settings))
		all = append(all, p)
		owners[p.ID()] = cluster.Owner{Broker: 1}
	}
	for i := range int32(2) {
		owners[id.Partition{Index: 100 + i}] = cluster.Owner{Broker: 2}
	}
	count := map[id.Broker]int{}
	for _, to := range spread(all, []cluster.Live{{Broker: 2}, {Broker: 3}}, owners) {
		count[to.Broker]++
	}
	if count[2] != 2 || count[3] != 4 {
		t.Errorf("%v", count)
	}
}

// TestLeavingTogether: an agent that leaves hands nothing over to agents that leave, too.
func TestLeavingTogether(t *testing.T) {
	w := newWorld(t)
	agent := func(b id.Broker, leaving bool) metadata.Op {
		return metadata.Put(schema.AgentKey(b), schema.Agent{Incarnation: id.Incarnation(b), Leaving: leaving}.Encode())
	}
	w.put(agent(2, false), agent(3, false))
	for _, b := range []id.Broker{2, 3} {
		j := schema.Journal{State: schema.JournalOpen, Broker: b, Ensemble: []id.Store{{byte(b)}}, Quorum: 1}
		w.put(metadata.Put(schema.JournalKey(id.Journal{Writer: id.Incarnation(b), Seq: 1}), j.Encode()))
	}
	const partitions = 2 * leaveAtOnce
	for i := range int32(partitions) {
		none := schema.StoredHead{Partition: id.Partition{Topic: id.Topic{7}, Index: i}}
		h := new(schema.Head)
		h.Give(me, 1)
		rev, err := w.meta.Txn(t.Context(), none.Guards(), none.Ops(h)...)
		if err != nil {
			t.Fatal(err)
		}
		p := partition.New(w.deps.Partition, none.Stored(h, rev), new(partition.Settings))
		p.Serve()
		w.deps.Set.Put(p)
	}
	var told sync.Once
	deps := w.deps
	flush := deps.Flush
	deps.Flush = func(ctx context.Context, all ...id.Partition) error { // the first to be moved have their heirs
		told.Do(func() { w.put(agent(3, true)) })
		return flush(ctx, all...)
	}
	NewMover(deps).Leave(t.Context(), time.Minute)
	count := map[id.Broker]int{}
	heads, err := schema.ListHeads(t.Context(), w.meta, nil, func(key string, err error) { t.Errorf("%s: %v", key, err) })
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		count[h.Head.Broker]++
	}
	if w.deps.Set.Len() != 0 || count[3] != leaveAtOnce/2 || count[2] != partitions-leaveAtOnce/2 {
		t.Errorf("%d stay, by agent: %v", w.deps.Set.Len(), count)
	}
}
