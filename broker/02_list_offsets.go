// ListOffsets, versions 1 to 11: 2 isolation levels (KIP-98), 4 leader epochs (KIP-320),
// 7 the largest timestamp (KIP-734), 8 the earliest local offset (KIP-405), 9 the latest
// tiered one (KIP-1005), 10 a timeout (KIP-1075), 11 the earliest offset that waits for
// upload (KIP-1023).

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

func (b *Broker) listOffsets(ctx context.Context, _ *caller, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
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
		found, err = b.offsetAt(ctx, p, want.Timestamp, req.IsolationLevel == readCommitted)
	}
	if err != nil {
		rp.ErrorCode = codeOf(err).Code
		return rp
	}
	rp.Offset, rp.Timestamp, rp.LeaderEpoch = found.Offset, found.Time, int32(found.Epoch)
	return rp
}

var nowhere = object.Stamp{Offset: -1, Time: -1, Epoch: id.NoEpoch}

// offsetAt finds what a timestamp stands for. stable says that the client reads the records of
// committed transactions only.
func (b *Broker) offsetAt(ctx context.Context, p *partition.Partition, at int64, stable bool) (object.Stamp, error) {
	s := p.State()
	place := func(offset int64) (object.Stamp, error) {
		return object.Stamp{Offset: offset, Time: -1, Epoch: b.epochAt(ctx, p, offset, s.Epoch)}, nil
	}
	switch at {
	case atLatest:
		return object.Stamp{Offset: s.Readable(stable), Time: -1, Epoch: s.Epoch}, nil
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

// epochAt returns the leader epoch of the record at offset, as far as it is known.
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
