package cluster

import (
	"maps"
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// The partitions of an agent are those of which it is the owner of record, whatever happened
// to them before.
func TestOwnedBy(t *testing.T) {
	v := NewView(nil, nil)
	owners := v.kinds[0]
	for _, k := range v.kinds {
		if k.prefix == schema.PrefixOwners {
			owners = k
		}
	}
	at := func(i int32) id.Partition { return id.Partition{Topic: id.Topic{1}, Index: i} }
	rev := metadata.Revision(0)
	put := func(i int32, b id.Broker) metadata.Event {
		rev++
		o := schema.Ownership{Owner: id.Incarnation(100 + b), Broker: b, Epoch: id.Epoch(rev)}
		if b == 0 {
			o.Owner = 0
		}
		return metadata.Event{Type: metadata.EventPut, KV: metadata.KV{Key: schema.OwnerKey(at(i)), Value: o.Encode(), Mod: rev}}
	}
	gone := func(i int32) metadata.Event {
		rev++
		return metadata.Event{Type: metadata.EventDelete, KV: metadata.KV{Key: schema.OwnerKey(at(i)), Mod: rev}}
	}
	check := func(what string, want map[id.Broker][]int32) {
		t.Helper()
		_, counts := v.OwnersCounted()
		total := 0
		for b := range id.Broker(4) {
			all := map[id.Partition]Owner{}
			for _, i := range want[b] {
				all[at(i)] = v.Owners()[at(i)]
			}
			if got := v.OwnedBy(b); !maps.Equal(got, all) {
				t.Errorf("%s: agent %d owns %v, want %v", what, b, got, all)
			}
			if n := counts.Owners[Owner{Incarnation: id.Incarnation(100 + b), Broker: b}]; n != len(all) {
				t.Errorf("%s: %d partitions of agent %d are counted, want %d", what, n, b, len(all))
			}
			total += len(all)
		}
		if n := counts.Topics[id.Topic{1}]; n != total {
			t.Errorf("%s: %d partitions of the topic have an owner, want %d", what, n, total)
		}
	}
	v.apply(owners, metadata.Batch{Reset: true, Events: []metadata.Event{put(0, 1), put(1, 1), put(2, 2), put(3, 0)}})
	check("at first", map[id.Broker][]int32{1: {0, 1}, 2: {2}})
	v.apply(owners, metadata.Batch{Events: []metadata.Event{put(0, 2), put(1, 1), put(3, 3), gone(2), gone(9)}})
	check("after moves", map[id.Broker][]int32{1: {1}, 2: {0}, 3: {3}})
	v.apply(owners, metadata.Batch{Reset: true, Events: []metadata.Event{put(1, 3)}})
	check("after a reset", map[id.Broker][]int32{3: {1}})
	if len(v.mu.owned.by) != 1 {
		t.Errorf("%d agents are remembered, one owns something", len(v.mu.owned.by))
	}
}
