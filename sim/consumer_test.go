package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/backoff"
	"varve/kafka"
)

// consumer reads one partition: from the start again and again, or at the tail. If
// it has a group, it commits how far it got.
type consumer struct {
	c         *client
	name      string
	partition int32
	tail      bool
	group     string
	committed int64          // the newest that was acknowledged
	unknown   map[int64]bool // sent, and perhaps stored, now or later
}

func (r *consumer) String() string { return fmt.Sprintf("%s of partition %d", r.name, r.partition) }

// run reads until ctx ends.
func (r *consumer) run(ctx context.Context) {
	at := int64(0)
	r.committed, r.unknown = -1, map[int64]bool{}
	for ctx.Err() == nil {
		next, high, err := r.fetch(ctx, at)
		switch {
		case err != nil:
			r.c.suspect(r.partition)
			_ = backoff.Sleep(ctx, r.c.backoff())
		case next > at:
			at = next
			if r.group != "" {
				r.commit(ctx, at)
			}
		case r.tail:
		default: // the end
			_ = backoff.Sleep(ctx, 10*r.c.backoff())
			if at >= high && r.group == "" {
				at = 0
			}
			if r.group != "" {
				r.recall(ctx)
			}
		}
	}
}

// fetch reads what begins at an offset, and shows it to the ledger.
func (r *consumer) fetch(ctx context.Context, at int64) (next, high int64, err error) {
	addr, err := r.c.leader(ctx, r.partition)
	if err != nil {
		return at, 0, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 12, 500, 1, 256<<10, -1
	t, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	t.Topic, p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = topicName, r.partition, at, 128<<10, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := r.c.ask(ctx, addr, req)
	if err != nil {
		return at, 0, err
	}
	f := resp.(*kmsg.FetchResponse)
	if f.ErrorCode != 0 || len(f.Topics) != 1 || len(f.Topics[0].Partitions) != 1 {
		return at, 0, fmt.Errorf("fetch: %v", kerr.ErrorForCode(f.ErrorCode))
	}
	got := f.Topics[0].Partitions[0]
	if got.ErrorCode == kerr.OffsetOutOfRange.Code {
		r.c.w.fail("promise 3: %v: offset %d, up to which it has read, is out of range", r, at)
	}
	if got.ErrorCode != 0 {
		return at, 0, kerr.ErrorForCode(got.ErrorCode)
	}
	next, err = r.take(got.RecordBatches, at)
	return next, got.HighWatermark, err
}

// take shows records to the ledger; the last batch may be cut short.
func (r *consumer) take(b []byte, at int64) (next int64, err error) {
	next = at
	for len(b) > 0 {
		batch, rest, err := kafka.Next(b)
		if err != nil {
			break
		}
		b = rest
		if err := batch.Validate(); err != nil {
			r.c.w.fail("promise 3: %v reads a damaged batch at %d: %v", r, next, err)
			return next, err
		}
		err = batch.Records(1<<20, func(x *kafka.Record) error {
			if o := batch.BaseOffset() + int64(x.Index); o >= at {
				r.c.w.ledger.read(r.String(), r.partition, o, string(x.Value))
				if o != next {
					r.c.w.fail("promise 2: %v reads offset %d where %d should be", r, o, next)
				}
				next = o + 1
			}
			return nil
		})
		if err != nil {
			r.c.w.fail("promise 3: %v reads a batch that can't be decoded at %d: %v", r, next, err)
			return next, err
		}
	}
	return next, nil
}

// coordinator finds the group's.
func (r *consumer) coordinator(ctx context.Context) (string, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey = 3, r.group
	resp, err := r.c.ask(ctx, r.c.anyone(), req)
	if err != nil {
		return "", err
	}
	f := resp.(*kmsg.FindCoordinatorResponse)
	if f.ErrorCode != 0 {
		return "", kerr.ErrorForCode(f.ErrorCode)
	}
	return fmt.Sprintf("%s:%d", f.Host, f.Port), nil
}

// commit stores the position, once; an unknown outcome is remembered as such.
func (r *consumer) commit(ctx context.Context, at int64) {
	addr, err := r.coordinator(ctx)
	if err != nil {
		return
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 8, r.group, -1
	t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, p.Partition, p.Offset, p.LeaderEpoch = topicName, r.partition, at, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r.unknown[at] = true
	resp, err := r.c.ask(ctx, addr, req)
	if err != nil {
		return
	}
	if c := resp.(*kmsg.OffsetCommitResponse); len(c.Topics) == 1 && len(c.Topics[0].Partitions) == 1 && c.Topics[0].Partitions[0].ErrorCode == 0 {
		r.committed = at
		delete(r.unknown, at)
		r.c.w.ledger.commits.Add(1)
	}
}

// recall reads the position back: it is the last that was acknowledged, or one whose
// answer was lost.
func (r *consumer) recall(ctx context.Context) bool {
	addr, err := r.coordinator(ctx)
	if err != nil {
		return false
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 7, r.group
	req.RequireStable = true // as Java's clients ask; without it a coordinator that was replaced and cut off may answer with what it knows
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic, t.Partitions = topicName, []int32{r.partition}
	req.Topics = append(req.Topics, t)
	resp, err := r.c.ask(ctx, addr, req)
	if err != nil {
		return false
	}
	f := resp.(*kmsg.OffsetFetchResponse)
	if f.ErrorCode != 0 || len(f.Topics) != 1 || len(f.Topics[0].Partitions) != 1 || f.Topics[0].Partitions[0].ErrorCode != 0 {
		return false
	}
	if o := f.Topics[0].Partitions[0].Offset; o != r.committed && !r.unknown[o] {
		r.c.w.fail("groups: %v: committed %d, but the coordinator has %d", r, r.committed, o)
	}
	return true
}

// drain reads everything up to an offset.
func (r *consumer) drain(ctx context.Context, end int64) bool {
	why := errors.New("no answer")
	for at := int64(0); at < end; {
		next, high, err := r.fetch(ctx, at)
		if ctx.Err() != nil {
			r.c.w.fail("promise 1: %v: read %d of %d records, then no more: %v", r, at, end, why)
			return false
		}
		if err == nil && next == at {
			why = fmt.Errorf("the answer is empty, the high watermark %d", high)
		}
		if err != nil {
			why = err
			r.c.suspect(r.partition)
			_ = backoff.Sleep(ctx, 200*time.Millisecond)
		}
		at = next
	}
	return true
}
