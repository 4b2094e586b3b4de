// OffsetForLeaderEpoch, versions 2 to 4: 2 current leader epochs (KIP-320), 3 replica
// ids.

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
)

func (api *logAPIs) offsetForLeaderEpoch(ctx context.Context, c *caller, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	all, arrived := newSeveral(), time.Now()
	asReplica := c.may(opClusterAction, onCluster, theCluster) // as brokers ask before KIP-320
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, len(t.Partitions))
		var denied error
		if !asReplica {
			denied = c.check(opDescribe, onTopic, t.Topic)
		}
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = api.epochEnd(ctx, arrived, t.Topic, &t.Partitions[i], denied) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (api *logAPIs) epochEnd(ctx context.Context, arrived time.Time, topic string, want *kmsg.OffsetForLeaderEpochRequestTopicPartition, denied error) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.EndOffset = want.Partition, -1, -1
	p, err := api.opening.partitionOf(ctx, arrived, topic, want.Partition, denied)
	if err == nil {
		err = p.CheckEpoch(id.Epoch(want.CurrentLeaderEpoch))
	}
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
		return rp
	}
	found, end, ok, err := p.EpochEnd(ctx, id.Epoch(want.LeaderEpoch))
	switch {
	case err != nil:
		rp.ErrorCode = codeOf(err).Code
	case ok:
		rp.LeaderEpoch, rp.EndOffset = int32(found), end
	}
	return rp
}
