package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// gapTick is how exactly the next record of a partition is due.
const gapTick = 2 * time.Millisecond

// gapWarmup is not measured: clients connect, and a new topic's partitions open.
const gapWarmup = time.Second

// gapRun is one run of Gap.
type gapRun struct {
	c      *Config
	all    []probe
	from   time.Time // measured from here on
	acked  atomic.Int64
	over   atomic.Bool
	failed failures
}

// probe is one partition. While pending is true its fields belong to the client's
// promise, otherwise to the loop that produces.
type probe struct {
	pending atomic.Bool
	value   []byte
	acked   time.Time // last; zero before the first
	due     time.Time
	longest time.Duration
}

// Gap keeps one record under way to each partition, Every after the one before was
// acknowledged, and measures for each partition the longest time between two
// acknowledgements: how long it took no writes while brokers were killed, stopped or
// moved beside it. The pause itself is part of it; the first second is not measured. A partition that takes nothing any
// more counts until the end.
func Gap(ctx context.Context, c Config) (*Result, error) {
	cl, err := gapClient(&c)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	found, err := kadm.NewClient(cl).ListTopics(ctx, c.Topic)
	if err == nil {
		err = found[c.Topic].Err
	}
	if err != nil {
		return nil, fmt.Errorf("look up topic %q: %w", c.Topic, err)
	}
	g := &gapRun{c: &c, all: make([]probe, len(found[c.Topic].Partitions))}
	r := &Result{Mode: "gap", Partitions: len(g.all)}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		g.run(ctx, cl)
		return g.acked.Load() * int64(c.RecordBytes), g.acked.Load(), nil
	})
	if err != nil {
		return nil, err
	}
	end := time.Now()
	g.over.Store(true)
	if err := cl.AbortBufferedRecords(ctx); err != nil { // it waits for all promises
		return nil, fmt.Errorf("give up records: %w", err)
	}
	gaps, silent := g.gaps(end)
	r.Gap = gaps.latency()
	if silent > 0 {
		g.failed.add(fmt.Errorf("%d partitions took no record at all", silent))
	}
	g.failed.fill(r)
	return r, nil
}

// gapClient is an impatient client: what is measured is the brokers, and how soon they
// report that they are no longer, or already, the leader.
func gapClient(c *Config) (*kgo.Client, error) {
	opts := c.options(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(c.Topic),
		kgo.ProducerLinger(0), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(20*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.ProduceRequestTimeout(2*time.Second), kgo.RequestTimeoutOverhead(time.Second), c.dialWithin(time.Second))
	return kgo.NewClient(opts...)
}

// run produces until the time is over.
func (g *gapRun) run(ctx context.Context, cl *kgo.Client) {
	tick := time.NewTicker(gapTick)
	defer tick.Stop()
	begin := time.Now()
	g.from = begin.Add(min(gapWarmup, g.c.Duration/2))
	for i := range g.all { // spread over one pause
		p := &g.all[i]
		p.value = payload(g.c.RecordBytes, g.c.Random, uint64(i))
		p.due = begin.Add(g.c.Every * time.Duration(i) / time.Duration(len(g.all)))
	}
	for end := begin.Add(g.c.Duration); ; {
		now := time.Now()
		if now.After(end) {
			return
		}
		for i := range g.all {
			if p := &g.all[i]; !p.pending.Load() && !now.Before(p.due) {
				g.send(ctx, cl, p, int32(i))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *gapRun) send(ctx context.Context, cl *kgo.Client, p *probe, partition int32) {
	p.pending.Store(true)
	cl.Produce(ctx, &kgo.Record{Partition: partition, Value: p.value}, func(_ *kgo.Record, err error) {
		now := time.Now()
		switch {
		case err != nil:
			if ctx.Err() == nil && !g.over.Load() {
				g.failed.add(err)
			}
		default:
			if !p.acked.IsZero() {
				p.longest = max(p.longest, now.Sub(later(p.acked, g.from)))
			}
			p.acked = now
			g.acked.Add(1)
			g.c.Meter.add(int64(len(p.value)), 1)
		}
		p.due = now.Add(g.c.Every)
		p.pending.Store(false)
	})
}

// gaps returns the distribution over partitions of the longest gap of each, and how many
// took nothing at all. Nothing may be pending.
func (g *gapRun) gaps(end time.Time) (h *histogram, silent int) {
	h = new(histogram)
	for i := range g.all {
		p := &g.all[i]
		if p.acked.IsZero() {
			silent++
			continue
		}
		h.add(max(p.longest, end.Sub(later(p.acked, g.from))))
	}
	return h, silent
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
