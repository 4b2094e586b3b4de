// DeleteRecords, versions 0 to 2: 0 log starts are moved by hand (KIP-107).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func (api *logAPIs) deleteRecords(ctx context.Context, c *caller, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	all, arrived := newSeveral(), time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		denied := c.check(opDelete, onTopic, t.Topic)
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = api.deleteRecordsOf(ctx, arrived, t.Topic, &t.Partitions[i], denied) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (api *logAPIs) deleteRecordsOf(ctx context.Context, arrived time.Time, topic string, want *kmsg.DeleteRecordsRequestTopicPartition, denied error) kmsg.DeleteRecordsResponseTopicPartition {
	rp := kmsg.NewDeleteRecordsResponseTopicPartition()
	rp.Partition, rp.LowWatermark = want.Partition, -1
	low, err := api.deleteTo(ctx, arrived, topic, want.Partition, want.Offset, denied)
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
	} else {
		rp.LowWatermark = low
	}
	return rp
}

// deleteTo moves a log start.
func (api *logAPIs) deleteTo(ctx context.Context, arrived time.Time, topic string, index int32, offset int64, denied error) (low int64, err error) {
	p, err := api.opening.partitionOf(ctx, arrived, topic, index, denied)
	if err != nil {
		return -1, err
	}
	return p.DeleteTo(ctx, offset) // ToHigh is Kafka's -1
}
