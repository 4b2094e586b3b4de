package bench

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestTheNextReplicaIsToLead(t *testing.T) {
	request, wanted, err := rotated("t", kadm.PartitionDetails{
		0: {Partition: 0, Leader: 1, Replicas: []int32{1, 2, 3}},
		1: {Partition: 1, Leader: 3, Replicas: []int32{3, 1, 2}},
		2: {Partition: 2, Leader: -1, Replicas: []int32{2, 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for p, replicas := range map[int32][]int32{0: {2, 3, 1}, 1: {1, 2, 3}, 2: {2, 3}} {
		if got := request["t"][p]; !slices.Equal(got, replicas) || wanted[p] != replicas[0] {
			t.Errorf("partition %d: %v, led by %d; want %v", p, got, wanted[p], replicas)
		}
	}
	if _, _, err := rotated("t", kadm.PartitionDetails{0: {Leader: 1, Replicas: []int32{1}}}); err == nil {
		t.Error("a partition with one replica can be moved")
	}
}
