// ElectLeaders, versions 0 to 2: 0 preferred leaders (KIP-183), 1 unclean elections
// (KIP-460).

package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

// electLeaders has nothing to elect: the owner of a partition is the first of its
// replicas, which is what a preferred leader is, and a partition without an owner
// gets one as soon as its newest records are safe. Never is a leader chosen that
// lacks records: an operator gives them up with "varve cluster accept-loss".
func (api *leaderAPIs) electLeaders(ctx context.Context, c *caller, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	resp := kmsg.NewPtrElectLeadersResponse()
	denied := c.check(opAlter, onCluster, theCluster)
	if denied != nil {
		resp.ErrorCode = codeOf(denied).Code
		if req.Topics == nil {
			return resp
		}
	}
	wanted := req.Topics
	if wanted == nil { // all, of which only those that go wrong are reported
		for _, t := range api.view.Topics() {
			wanted = append(wanted, kmsg.ElectLeadersRequestTopic{Topic: t.Name, Partitions: partitionsOf(t)})
		}
	}
	for _, t := range wanted {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = t.Topic
		for _, index := range t.Partitions {
			err := denied
			if err == nil {
				err = api.election(ctx, t.Topic, index, req.Version >= 1 && req.ElectionType == 1)
			}
			if req.Topics == nil && errors.Is(err, kerr.ElectionNotNeeded) {
				continue
			}
			rp := kmsg.NewElectLeadersResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.ErrorMessage = index, codeOf(err).Code, said(err)
			rt.Partitions = append(rt.Partitions, rp)
		}
		if len(rt.Partitions) > 0 || req.Topics != nil {
			resp.Topics = append(resp.Topics, rt)
		}
	}
	return resp
}

// election returns why a partition needs none, or can't have one.
func (api *leaderAPIs) election(ctx context.Context, topic string, index int32, unclean bool) error {
	t, err := api.opening.topic(ctx, false, topic, id.Topic{})
	switch {
	case err != nil || index < 0 || index >= t.Partitions:
		return kerr.UnknownTopicOrPartition
	}
	if _, ok := api.view.Owner(id.Partition{Topic: t.ID, Index: index}); ok {
		return kerr.ElectionNotNeeded
	}
	if unclean {
		return kerr.EligibleLeadersNotAvailable
	}
	return kerr.PreferredLeaderNotAvailable
}

// partitionsOf lists a topic's partitions.
func partitionsOf(t *cluster.Topic) []int32 {
	out := make([]int32, t.Partitions)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}
