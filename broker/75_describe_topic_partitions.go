// DescribeTopicPartitions, versions 0 to 0: 0 pages of a topic's partitions (KIP-966).

package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
)

// maxDescribed is how many partitions one answer describes (Kafka's
// max.request.partition.size.limit).
const maxDescribed = 2000

func (api *metadataAPIs) describeTopicPartitions(ctx context.Context, c *caller, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	names := make([]string, 0, len(req.Topics))
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(names) == 0 {
		for _, t := range api.view.Topics() {
			if c.may(opDescribe, onTopic, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	left := int32(maxDescribed)
	if req.ResponsePartitionLimit > 0 {
		left = min(left, req.ResponsePartitionLimit)
	}
	for _, name := range names {
		from := int32(0)
		if cur := req.Cursor; cur != nil {
			if name < cur.Topic {
				continue
			}
			if name == cur.Topic {
				from = cur.Partition
			}
		}
		if left == 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: from}
			break
		}
		t, next := api.describeTopic(ctx, c, name, from, left)
		resp.Topics = append(resp.Topics, t)
		left -= int32(len(t.Partitions))
		if next >= 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: next}
			break
		}
	}
	return resp
}

// describeTopic describes at most limit partitions; next is the first that did
// not fit, or -1.
func (api *metadataAPIs) describeTopic(ctx context.Context, c *caller, name string, from, limit int32) (d kmsg.DescribeTopicPartitionsResponseTopic, next int32) {
	d = kmsg.NewDescribeTopicPartitionsResponseTopic()
	d.Topic, d.AuthorizedOperations = &name, noOperations
	t, err := api.opening.topicFor(ctx, c, opDescribe, false, name, id.Topic{})
	if err != kerr.TopicAuthorizationFailed {
		d.AuthorizedOperations = c.operations(onTopic, name)
	}
	if err != nil {
		d.ErrorCode = codeOf(err).Code
		return d, -1
	}
	d.TopicID = t.ID
	ensembles := api.view.Ensembles()
	for i := max(0, from); i < t.Partitions; i++ {
		if int32(len(d.Partitions)) == limit {
			return d, i
		}
		m := api.directory.partitionMetadata(id.Partition{Topic: t.ID, Index: i}, ensembles)
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.ErrorCode, p.Partition, p.LeaderID, p.LeaderEpoch = m.ErrorCode, i, m.Leader, m.LeaderEpoch
		p.Replicas, p.ISR, p.OfflineReplicas = m.Replicas, m.ISR, m.OfflineReplicas
		p.EligibleLeaderReplicas, p.LastKnownELR = []int32{}, []int32{} // null upsets the Java client
		d.Partitions = append(d.Partitions, p)
	}
	return d, -1
}
