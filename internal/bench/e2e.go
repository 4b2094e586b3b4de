package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/notify"
)

// lateWait is how long the consumer waits for records that were acknowledged.
const lateWait = 5 * time.Second

// Grace is the most that a run takes after its duration.
const Grace = 2 * answerWait

// EndToEnd produces at Rate and consumes at the same time, and measures how long
// a record takes from before it is produced to after it is polled. The first
// second warms up and is not measured.
func EndToEnd(ctx context.Context, c Config) (*Result, error) {
	if c.Rate <= 0 {
		return nil, errors.New("rate is 0: end-to-end latency needs a rate, in records per second")
	}
	prod, err := producer(ctx, &c)
	if err != nil {
		return nil, err
	}
	defer prod.Close()
	cons, err := tailReader(ctx, &c, prod)
	if err != nil {
		return nil, err
	}
	defer cons.Close()
	run := &endToEnd{c: &c, arrived: notify.NewSignal()}
	reading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { run.read(reading, cons) })
	r := &Result{Mode: "e2e"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		run.write(ctx, prod)
		return run.acked.Load() * int64(c.RecordBytes), run.acked.Load(), nil
	})
	run.await(ctx)
	stop()
	wg.Wait()
	if err != nil {
		return nil, err
	}
	r.Received, r.Latency, r.EndToEnd = run.received.Load(), run.produced.latency(), run.whole.latency()
	run.failed.fill(r)
	return r, nil
}

// tailReader makes a consumer that begins at the present end.
func tailReader(ctx context.Context, c *Config, cl *kgo.Client) (*kgo.Client, error) {
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, c.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("look up where topic %q ends: %w", c.Topic, err)
	}
	from := map[string]map[int32]kgo.Offset{c.Topic: {}}
	ends.Each(func(l kadm.ListedOffset) { from[c.Topic][l.Partition] = kgo.NewOffset().At(l.Offset) })
	return kgo.NewClient(c.options(kgo.ConsumePartitions(from), kgo.FetchMaxWait(c.MaxWait),
		kgo.FetchMaxBytes(int32(c.FetchBytes)), kgo.FetchMaxPartitionBytes(int32(c.PartitionBytes)))...)
}

// endToEnd is one run of EndToEnd. The clock that stamps records and the one that
// reads them is the same: started's monotonic one.
type endToEnd struct {
	c               *Config
	started         atomic.Pointer[time.Time]
	produced, whole histogram
	acked, received atomic.Int64
	arrived         notify.Signal
	failed          failures
}

// warmUp is not measured, at most half of the run.
func (e *endToEnd) warmUp() time.Duration { return min(time.Second, e.c.Duration/2) }

func (e *endToEnd) write(ctx context.Context, cl *kgo.Client) {
	value := payload(e.c.RecordBytes, e.c.Random, 1)
	start := time.Now()
	e.started.Store(&start)
	until, cancel := context.WithTimeout(ctx, e.c.Duration)
	defer cancel()
	life, end := producing(ctx, e.c)
	defer end()
	for n := int64(0); pace(until, start, n, float64(e.c.Rate)); n++ {
		v := append([]byte(nil), value...)
		sent := time.Since(start)
		binary.LittleEndian.PutUint64(v, uint64(sent))
		cl.Produce(life, &kgo.Record{Value: v}, func(_ *kgo.Record, err error) {
			if err != nil {
				e.failed.add(err)
				return
			}
			e.acked.Add(1)
			e.c.Meter.add(int64(len(v)), 1)
			if sent >= e.warmUp() {
				e.produced.add(time.Since(start) - sent)
			}
		})
	}
	settle(life, cl, &e.failed)
}

func (e *endToEnd) read(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		fs := cl.PollFetches(ctx)
		start := e.started.Load()
		fs.EachError(func(_ string, p int32, err error) {
			if !isEnd(err) {
				e.failed.add(fmt.Errorf("partition %d: %w", p, err))
			}
		})
		if start == nil {
			continue
		}
		now := time.Since(*start)
		fs.EachRecord(func(r *kgo.Record) {
			e.received.Add(1)
			if len(r.Value) < 8 {
				return
			}
			if sent := time.Duration(binary.LittleEndian.Uint64(r.Value)); sent >= e.warmUp() && sent <= now {
				e.whole.add(now - sent)
			}
		})
		e.arrived.Set()
	}
}

// await waits until all that was acknowledged was read.
func (e *endToEnd) await(ctx context.Context) {
	late := time.NewTimer(lateWait)
	defer late.Stop()
	for e.received.Load() < e.acked.Load() {
		select {
		case <-e.arrived:
		case <-late.C:
			e.failed.add(fmt.Errorf("%d acknowledged records were not read after %v", e.acked.Load()-e.received.Load(), lateWait))
			return
		case <-ctx.Done():
			return
		}
	}
}

// isEnd reports whether an error of a poll is only that its context ended.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrClientClosed)
}
