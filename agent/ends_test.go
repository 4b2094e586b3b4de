package agent

import (
	"maps"
	"testing"

	"varve/cluster"
	"varve/internal/id"
)

// TestEndsOfOwnersOnly: an agent that lost a partition doesn't decide where it ends.
func TestEndsOfOwnersOnly(t *testing.T) {
	kept, lost := id.Partition{Index: 0}, id.Partition{Index: 1}
	owners := map[id.Partition]cluster.Owner{kept: {Incarnation: 1}, lost: {Incarnation: 2}}
	for name, order := range map[string][]id.Incarnation{"the new owner answers last": {1, 2}, "the new owner answers first": {2, 1}} {
		said := map[id.Incarnation]map[id.Partition]int64{1: {kept: 10, lost: 5}, 2: {lost: 7}}
		ends := map[id.Partition]int64{}
		for _, of := range order {
			keepOwned(ends, said[of], owners, of)
		}
		if want := map[id.Partition]int64{kept: 10, lost: 7}; !maps.Equal(ends, want) {
			t.Errorf("%s: %v, not %v", name, ends, want)
		}
	}
}
