// ListOffsets, versions 1 to 11: 2 isolation levels (KIP-98), 4 leader epochs (KIP-320),
// 7 the largest timestamp (KIP-734), 8 the earliest local offset (KIP-405), 9 the latest
// tiered one (KIP-1005), 10 a timeout (KIP-1075), 11 the earliest offset that waits for
// upload (KIP-1023).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
	"varve/partition"
)

// Timestamps that stand for places.
const (
	atLatest        = -1
	atEarliest      = -2
	atMaxTime       = -3 // KIP-734
	atEarliestLocal = -4 // KIP-405
	atLatestTiered  = -5 // KIP-1005
	atEarliestWait  = -6 // KIP-1023: the first offset that is not in the tier
)

func (api *logAPIs) listOffsets(ctx context.Context, c *caller, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := kmsg.NewPtrListOffsetsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	all, arrived := newSeveral(), time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		denied := c.check(opDescribe, onTopic, t.Topic)
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = api.listOffset(ctx, arrived, req, t.Topic, &t.Partitions[i], denied) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (api *logAPIs) listOffset(ctx context.Context, arrived time.Time, req *kmsg.ListOffsetsRequest, topic string, want *kmsg.ListOffsetsRequestTopicPartition, denied error) kmsg.ListOffsetsResponseTopicPartition {
	rp := kmsg.NewListOffsetsResponseTopicPartition()
	rp.Partition, rp.Timestamp, rp.Offset, rp.LeaderEpoch = want.Partition, -1, -1, -1
	p, err := api.opening.partitionOf(ctx, arrived, topic, want.Partition, denied)
	if err == nil {
		err = p.CheckEpoch(id.Epoch(want.CurrentLeaderEpoch))
	}
	var found partition.Stamp
	if err == nil {
		found, err = api.offsetAt(ctx, p, want.Timestamp, req.IsolationLevel == readCommitted)
	}
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
		return rp
	}
	rp.Offset, rp.Timestamp, rp.LeaderEpoch = found.Offset, found.Time, int32(found.Epoch)
	return rp
}

var nowhere = partition.Stamp{Offset: -1, Time: -1, Epoch: id.NoEpoch}

// offsetAt finds what a timestamp stands for. stable means that the client reads the records
// of committed transactions only.
func (api *logAPIs) offsetAt(ctx context.Context, p *partition.Partition, at int64, stable bool) (partition.Stamp, error) {
	s := p.State()
	place := func(offset int64) (partition.Stamp, error) {
		return partition.Stamp{Offset: offset, Time: -1, Epoch: p.EpochAt(offset)}, nil
	}
	switch at {
	case atLatest:
		return partition.Stamp{Offset: s.Readable(stable), Time: -1, Epoch: s.Epoch}, nil
	case atEarliest:
		return place(s.LogStart)
	case atEarliestLocal:
		return place(s.LocalStart)
	case atEarliestWait:
		return place(max(s.LogStart, s.TieredEnd))
	case atLatestTiered:
		if s.TieredEnd <= s.LogStart {
			return nowhere, nil
		}
		return place(s.TieredEnd - 1)
	case atMaxTime:
		found, ok, err := p.MaxTime(ctx)
		return ifReadable(p, stable, found, ok), err
	}
	if at < 0 {
		return nowhere, kerr.UnsupportedVersion
	}
	found, ok, err := p.FindTime(ctx, at)
	return ifReadable(p, stable, found, ok), err
}

// ifReadable returns a record that was found, if the client can read it.
func ifReadable(p *partition.Partition, stable bool, found partition.Stamp, ok bool) partition.Stamp {
	if s := p.State(); !ok || found.Offset >= s.Readable(stable) {
		return nowhere
	}
	return found
}
