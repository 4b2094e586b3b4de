// AlterPartitionAssignments, versions 0 to 1: 0 reassignments (KIP-455), 1 the number of
// replicas may be kept (KIP-860).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
)

// alterPartitionReassignments asks partitions' owners to give them away (KIP-455):
// the first replica of a target is to be the new owner. Which agents keep its records
// beside it is not the partition's affair, but that of its owner's journal; the other
// replicas are checked and otherwise ignored.
func (api *leaderAPIs) alterPartitionReassignments(ctx context.Context, c *caller, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	denied := c.check(opAlter, onCluster, theCluster)
	moves := map[id.Partition]id.Broker{}
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = t.Topic
		for i := range t.Partitions {
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			rp.Partition = t.Partitions[i].Partition
			var at id.Partition
			var to id.Broker
			err := denied
			if err == nil {
				at, to, err = api.reassignment(ctx, t.Topic, &t.Partitions[i])
			}
			if err != nil {
				rp.ErrorCode, rp.ErrorMessage = codeOf(err).Code, said(err)
			} else {
				moves[at] = to
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	err := denied
	if err == nil {
		err = api.editor.ChangeMoves(ctx, moves)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err).Code, said(err)
	} else if len(moves) > 0 {
		api.audit.Info("reassignments changed", "partitions", len(moves), c.attr())
	}
	return resp
}

// reassignment is where a partition is to go; NoBroker: nowhere.
func (api *leaderAPIs) reassignment(ctx context.Context, topic string, want *kmsg.AlterPartitionAssignmentsRequestTopicPartition) (at id.Partition, to id.Broker, err error) {
	t, err := api.opening.topic(ctx, false, topic, id.Topic{})
	if err != nil || want.Partition < 0 || want.Partition >= t.Partitions {
		return at, 0, kerr.UnknownTopicOrPartition
	}
	at = id.Partition{Topic: t.ID, Index: want.Partition}
	if want.Replicas == nil {
		if _, ok := api.view.Moves()[at]; !ok {
			return at, 0, kerr.NoReassignmentInProgress
		}
		return at, id.NoBroker, nil
	}
	if err := api.checkReplicas(want.Replicas); err != nil {
		return at, 0, err
	}
	to = id.Broker(want.Replicas[0])
	if o, ok := api.view.Owner(at); ok && o.Broker == to {
		return at, id.NoBroker, nil // it is there; an earlier wish is void
	}
	_, err = api.view.Taker(to)
	return at, to, err
}

// checkReplicas refuses what Kafka refuses in a target list.
func (api *leaderAPIs) checkReplicas(list []int32) error {
	if len(list) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "The replica list is empty")
	}
	seen := map[int32]bool{}
	for _, r := range list {
		if seen[r] {
			return refuse(kerr.InvalidReplicaAssignment, "Broker %d is named twice", r)
		}
		seen[r] = true
		if _, ok := api.view.Agent(id.Broker(r)); !ok {
			return refuse(kerr.InvalidReplicaAssignment, "Broker %d is not registered", r)
		}
	}
	return nil
}
