// OffsetDelete, versions 0 to 0: 0 offsets are deleted (KIP-496).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/group/offsets"
	"varve/internal/id"
)

// offsetDelete forgets offsets of topics that the group does not read.
func (g *groupAPIs) offsetDelete(ctx context.Context, c *caller, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	if !c.allowed(opDelete, onGroup, req.Group) {
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp
	}
	var wanted []offsets.TopicPartitions
	var accepted [][]*int16
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewOffsetDeleteResponseTopic()
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.OffsetDeleteResponseTopicPartition, len(t.Partitions))
		topic, err := topicFor(ctx, g.topics, c, opRead, false, t.Topic, id.Topic{})
		w := offsets.TopicPartitions{Topic: t.Topic}
		var codes []*int16
		for j, p := range t.Partitions {
			rp := &rt.Partitions[j]
			*rp = kmsg.NewOffsetDeleteResponseTopicPartition()
			rp.Partition = p.Partition
			if err == kerr.TopicAuthorizationFailed {
				rp.ErrorCode = kerr.TopicAuthorizationFailed.Code
				continue
			}
			if err != nil || p.Partition < 0 || p.Partition >= topic.Partitions {
				rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				continue
			}
			w.Partitions = append(w.Partitions, p.Partition)
			codes = append(codes, &rp.ErrorCode)
		}
		resp.Topics = append(resp.Topics, rt)
		if len(codes) > 0 {
			wanted, accepted = append(wanted, w), append(accepted, codes)
		}
	}
	r := g.groups.DeleteOffsets(ctx, req.Group, wanted)
	if r.Err != nil {
		resp.ErrorCode, resp.Topics = groupCode(r.Err), nil
		return resp
	}
	for i, codes := range accepted {
		for _, code := range codes {
			*code = groupCode(r.Errs[i])
		}
	}
	return resp
}
