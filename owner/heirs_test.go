package owner

import (
	"slices"
	"testing"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
)

// TestHeirs: an heir lives, has an open journal and doesn't leave; one that is drained is an
// heir only if no other is there.
func TestHeirs(t *testing.T) {
	agent := func(b id.Broker, leaving bool) cluster.Live {
		return cluster.Live{Broker: b, Agent: metadata.Agent{Incarnation: id.Incarnation(b), Leaving: leaving}}
	}
	journals := map[id.Journal]cluster.Journal{}
	for i, state := range map[id.Incarnation]metadata.JournalState{1: metadata.JournalOpen, 2: metadata.JournalOpen, 3: metadata.JournalOpen, 4: metadata.JournalSealed, 5: metadata.JournalOpen} {
		journals[id.Journal{Writer: i, Seq: 1}] = cluster.Journal{Journal: metadata.Journal{State: state}}
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
		p := partition.New(&partition.Deps{}, metadata.StoredHead{Partition: id.Partition{Index: i}, Head: &metadata.Head{}}, new(partition.Settings))
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
