// DescribeProducers, versions 0 to 0: 0 producers of partitions (KIP-664).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/partition"
)

// describeProducers lists the idempotent producers of partitions (KIP-664).
func (api *logAPIs) describeProducers(ctx context.Context, c *caller, req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := kmsg.NewPtrDescribeProducersResponse()
	arrived := time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		denied := cluster.CheckTopicName(t.Topic) // Kafka looks at the name first
		if denied == nil {
			denied = c.check(opRead, onTopic, t.Topic)
		}
		for _, index := range t.Partitions {
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = index
			p, err := api.opening.partitionOf(ctx, arrived, t.Topic, index, denied)
			if err != nil {
				rp.ErrorCode = codeOf(err).Code
				rp.ErrorMessage = said(err)
			} else {
				rp.ActiveProducers = producersOf(p)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func producersOf(p *partition.Partition) []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	var out []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, k := range p.Producers() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch, a.LastTimestamp = k.ID, int32(k.Epoch), k.Timestamp
		a.LastSequence, a.CoordinatorEpoch, a.CurrentTxnStartOffset = -1, -1, -1
		if n := len(k.Batches); n > 0 {
			a.LastSequence = k.Batches[n-1].LastSequence
		}
		out = append(out, a)
	}
	return out
}
