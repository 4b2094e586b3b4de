package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
	"varve/partition"
	"varve/tiering/object"
	"varve/wal"
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

func (b *Broker) listOffsets(ctx context.Context, _ *conn, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := kmsg.NewPtrListOffsetsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	all, arrived := newSeveral(), time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = b.listOffset(ctx, arrived, req, t.Topic, &t.Partitions[i]) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (b *Broker) listOffset(ctx context.Context, arrived time.Time, req *kmsg.ListOffsetsRequest, topic string, want *kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	rp := kmsg.NewListOffsetsResponseTopicPartition()
	rp.Partition, rp.Timestamp, rp.Offset, rp.LeaderEpoch = want.Partition, -1, -1, -1
	p, err := b.partitionOf(ctx, arrived, topic, want.Partition)
	if err == nil {
		err = p.CheckEpoch(id.Epoch(want.CurrentLeaderEpoch))
	}
	var found object.Stamp
	if err == nil {
		found, err = b.offsetAt(ctx, p, want.Timestamp)
	}
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
		return rp
	}
	rp.Offset, rp.Timestamp, rp.LeaderEpoch = found.Offset, found.Time, int32(found.Epoch)
	return rp
}

// partitionOf gives an owned partition by its topic's name.
func (b *Broker) partitionOf(ctx context.Context, arrived time.Time, topic string, index int32) (*partition.Partition, error) {
	t, err := b.opening.topic(ctx, false, topic, id.Topic{})
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= t.Partitions {
		return nil, kerr.UnknownTopicOrPartition
	}
	return b.opening.partition(ctx, arrived, id.Partition{Topic: t.ID, Index: index})
}

var nowhere = object.Stamp{Offset: -1, Time: -1, Epoch: id.NoEpoch}

func (b *Broker) offsetAt(ctx context.Context, p *partition.Partition, at int64) (object.Stamp, error) {
	s := p.State()
	place := func(offset int64) (object.Stamp, error) {
		return object.Stamp{Offset: offset, Time: -1, Epoch: b.epochAt(ctx, p, offset, s.Epoch)}, nil
	}
	switch at {
	case atLatest:
		return object.Stamp{Offset: s.High, Time: -1, Epoch: s.Epoch}, nil
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
		return b.maxTime(ctx, p)
	}
	if at < 0 {
		return nowhere, kerr.UnsupportedVersion
	}
	return b.firstSince(ctx, p, s, at)
}

// epochAt gives the leader epoch of the record at offset, as far as it is known.
func (b *Broker) epochAt(ctx context.Context, p *partition.Partition, offset int64, newest id.Epoch) id.Epoch {
	starts := p.Head().Epochs
	for i := len(starts) - 1; i >= 0; i-- {
		if starts[i].Start <= offset {
			return starts[i].Epoch
		}
	}
	if len(starts) == 0 {
		return newest
	}
	return id.NoEpoch
}

// firstSince looks in the tier first if part of the log lies only there.
func (b *Broker) firstSince(ctx context.Context, p *partition.Partition, s partition.State, at int64) (object.Stamp, error) {
	from := s.LogStart
	if s.LocalStart <= s.LogStart {
		found, ok, err := p.FindTime(ctx, from, at)
		if !errors.Is(err, wal.ErrGone) {
			return orNowhere(found, ok, err)
		}
	}
	if head := p.Head(); s.LogStart < head.TieredEnd {
		found, ok, err := b.deps.Tier.FindTime(ctx, head, p.ID(), at)
		if err != nil || ok {
			return found, err
		}
		from = head.TieredEnd
	}
	return orNowhere(p.FindTime(ctx, from, at))
}

func orNowhere(found object.Stamp, ok bool, err error) (object.Stamp, error) {
	if err != nil || ok {
		return found, err
	}
	return nowhere, nil
}

func (b *Broker) maxTime(ctx context.Context, p *partition.Partition) (object.Stamp, error) {
	best, found, err := p.MaxTime(ctx)
	if err != nil {
		return nowhere, err
	}
	tier, ok, err := b.deps.Tier.MaxTime(ctx, p.Head(), p.ID())
	if err != nil {
		return nowhere, err
	}
	switch {
	case ok && (!found || tier.Time >= best.Time):
		return tier, nil
	case found:
		return best, nil
	}
	return nowhere, nil
}

func (b *Broker) offsetForLeaderEpoch(ctx context.Context, _ *conn, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	all, arrived := newSeveral(), time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, len(t.Partitions))
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = b.epochEnd(ctx, arrived, t.Topic, &t.Partitions[i]) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (b *Broker) epochEnd(ctx context.Context, arrived time.Time, topic string, want *kmsg.OffsetForLeaderEpochRequestTopicPartition) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.EndOffset = want.Partition, -1, -1
	p, err := b.partitionOf(ctx, arrived, topic, want.Partition)
	if err == nil {
		err = p.CheckEpoch(id.Epoch(want.CurrentLeaderEpoch))
	}
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
		return rp
	}
	found, end, known := p.EpochEnd(id.Epoch(want.LeaderEpoch))
	if !known {
		if found, end, known, err = b.deps.Tier.EpochEnd(ctx, p.Head(), p.ID(), id.Epoch(want.LeaderEpoch)); err != nil {
			rp.ErrorCode = codeOf(err).Code
			return rp
		}
		if !known {
			return rp
		}
	}
	rp.LeaderEpoch, rp.EndOffset = int32(found), end
	return rp
}

func (b *Broker) deleteRecords(ctx context.Context, _ *conn, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	all, arrived := newSeveral(), time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for i := range t.Partitions {
			all.add(func() { rt.Partitions[i] = b.deleteRecordsOf(ctx, arrived, t.Topic, &t.Partitions[i]) })
		}
		resp.Topics = append(resp.Topics, rt)
	}
	all.wait()
	return resp
}

func (b *Broker) deleteRecordsOf(ctx context.Context, arrived time.Time, topic string, want *kmsg.DeleteRecordsRequestTopicPartition) kmsg.DeleteRecordsResponseTopicPartition {
	rp := kmsg.NewDeleteRecordsResponseTopicPartition()
	rp.Partition, rp.LowWatermark = want.Partition, -1
	low, err := b.deleteTo(ctx, arrived, topic, want.Partition, want.Offset)
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
	} else {
		rp.LowWatermark = low
	}
	return rp
}

// deleteTo moves a log start; -1 stands for the high watermark.
func (b *Broker) deleteTo(ctx context.Context, arrived time.Time, topic string, index int32, offset int64) (low int64, err error) {
	p, err := b.partitionOf(ctx, arrived, topic, index)
	if err != nil {
		return -1, err
	}
	s := p.State()
	if offset == -1 {
		offset = s.High
	}
	if offset < 0 || offset > s.High {
		return -1, kerr.OffsetOutOfRange
	}
	if offset > s.LogStart {
		if err := b.deps.Tier.DeleteTo(ctx, p, offset); err != nil {
			return -1, err
		}
	}
	return p.LogStart(), nil
}

// describeProducers lists the idempotent producers of partitions (KIP-664).
func (b *Broker) describeProducers(ctx context.Context, _ *conn, req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := kmsg.NewPtrDescribeProducersResponse()
	arrived := time.Now()
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		for _, index := range t.Partitions {
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = index
			p, err := b.partitionOf(ctx, arrived, t.Topic, index)
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
