// ListPartitionReassignments, versions 0 to 0: 0 reassignments (KIP-455).

package broker

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

// listPartitionReassignments tells which moves are under way.
func (api *leaderAPIs) listPartitionReassignments(ctx context.Context, c *caller, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	if err := c.check(opDescribe, onCluster, theCluster); err != nil {
		resp.ErrorCode, resp.ErrorMessage = coded(err)
		return resp
	}
	moves := api.view.Moves()
	ensembles := api.view.Ensembles()
	wanted := req.Topics
	if wanted == nil {
		wanted = api.moving(moves)
	}
	for _, want := range wanted {
		t, err := api.opening.topic(ctx, false, want.Topic, id.Topic{})
		if err != nil {
			continue
		}
		rt := kmsg.NewListPartitionReassignmentsResponseTopic()
		rt.Topic = t.Name
		for _, index := range want.Partitions {
			at := id.Partition{Topic: t.ID, Index: index}
			if m, ok := moves[at]; ok {
				rt.Partitions = append(rt.Partitions, api.underWay(at, m, ensembles))
			}
		}
		if len(rt.Partitions) > 0 {
			resp.Topics = append(resp.Topics, rt)
		}
	}
	return resp
}

// moving lists the partitions that move, by topic.
func (api *leaderAPIs) moving(moves map[id.Partition]cluster.Move) (list []kmsg.ListPartitionReassignmentsRequestTopic) {
	by := map[id.Topic][]int32{}
	for p := range moves {
		by[p.Topic] = append(by[p.Topic], p.Index)
	}
	for topic, partitions := range by {
		if t, ok := api.view.TopicByID(topic); ok {
			slices.Sort(partitions)
			list = append(list, kmsg.ListPartitionReassignmentsRequestTopic{Topic: t.Name, Partitions: partitions})
		}
	}
	slices.SortFunc(list, func(x, y kmsg.ListPartitionReassignmentsRequestTopic) int { return cmp.Compare(x.Topic, y.Topic) })
	return list
}

// underWay describes a move as Kafka does: the new owner is being added if it has no
// replica yet. None is removed that one could name: the replicas are those of the
// new owner's journal afterwards.
func (api *leaderAPIs) underWay(at id.Partition, m cluster.Move, ensembles map[id.Incarnation]cluster.Ensemble) kmsg.ListPartitionReassignmentsResponseTopicPartition {
	rp := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
	now := api.directory.partitionMetadata(at, ensembles)
	rp.Partition, rp.Replicas = at.Index, slices.Clone(now.Replicas)
	if to := int32(m.To); !slices.Contains(rp.Replicas, to) {
		rp.Replicas = append(rp.Replicas, to)
		rp.AddingReplicas = []int32{to}
	}
	return rp
}
