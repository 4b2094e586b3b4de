package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Consume reads the topic from its start to where its end was at the beginning,
// or as far as Duration and Bytes allow; more than one client form a group,
// which is deleted afterwards.
func Consume(ctx context.Context, c Config) (*Result, error) {
	adm, err := kadm.NewOptClient(c.options()...)
	if err != nil {
		return nil, err
	}
	defer adm.Close()
	total, err := held(ctx, adm, c.Topic)
	if err != nil {
		return nil, err
	}
	group := ""
	if c.Connections > 1 {
		group = fmt.Sprintf("varve-bench-%d", time.Now().UnixNano())
	}
	run := &consuming{c: &c, total: total}
	r := &Result{Mode: "consume"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		until, cancel := context.WithTimeout(ctx, c.Duration)
		defer cancel()
		run.enough = cancel
		err := run.all(until, group)
		return run.bytes.Load(), run.records.Load(), err
	})
	if group != "" {
		_, _ = adm.DeleteGroup(context.WithoutCancel(ctx), group) // it expires by itself, too
	}
	if err != nil {
		return nil, err
	}
	r.FirstMs = float64(run.first.Load()) / 1e6
	run.failed.fill(r)
	return r, nil
}

// held is how many records the topic has, counted by offsets.
func held(ctx context.Context, adm *kadm.Client, topic string) (n int64, err error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("look up where topic %q starts: %w", topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("look up where topic %q ends: %w", topic, err)
	}
	ends.Each(func(e kadm.ListedOffset) {
		s, _ := starts.Lookup(topic, e.Partition)
		n += e.Offset - s.Offset
	})
	return n, nil
}

// consuming is one run of Consume.
type consuming struct {
	c              *Config
	total          int64
	enough         context.CancelFunc
	bytes, records atomic.Int64
	first          atomic.Int64
	failed         failures
}

func (r *consuming) all(ctx context.Context, group string) error {
	if r.total == 0 {
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	start := time.Now()
	for range r.c.Connections {
		o := r.c.options(kgo.ConsumeTopics(r.c.Topic), kgo.FetchMaxBytes(int32(r.c.FetchBytes)),
			kgo.FetchMaxPartitionBytes(int32(r.c.PartitionBytes)), kgo.FetchMaxWait(r.c.MaxWait), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if group != "" {
			o = append(o, kgo.ConsumerGroup(group), kgo.DisableAutoCommit())
		}
		cl, err := kgo.NewClient(o...)
		if err != nil {
			r.enough()
			return err
		}
		wg.Go(func() {
			defer cl.Close()
			for ctx.Err() == nil {
				r.take(cl.PollFetches(ctx), start)
			}
		})
	}
	return nil
}

func (r *consuming) take(fs kgo.Fetches, start time.Time) {
	var bytes, records int64
	fs.EachRecord(func(rec *kgo.Record) { bytes += int64(len(rec.Value)); records++ })
	fs.EachError(func(_ string, p int32, err error) {
		if !isEnd(err) {
			r.failed.add(fmt.Errorf("partition %d: %w", p, err))
		}
	})
	if records == 0 {
		return
	}
	r.first.CompareAndSwap(0, int64(time.Since(start)))
	r.c.Meter.add(bytes, records)
	b, n := r.bytes.Add(bytes), r.records.Add(records)
	if n >= r.total || r.c.Bytes > 0 && b >= r.c.Bytes {
		r.enough()
	}
}
