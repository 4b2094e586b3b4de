package owner

import (
	"slices"
	"testing"

	"varve/cluster"
	"varve/internal/id"
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
