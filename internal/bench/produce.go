package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sampleEvery is how many records share one latency when no rate is asked for.
const sampleEvery = 64

// Produce writes with Connections clients as fast as they and the broker go, or
// at Rate.
func Produce(ctx context.Context, c Config) (*Result, error) {
	producers, err := clients(&c, func(int) (*kgo.Client, error) { return producer(ctx, &c) })
	if err != nil {
		return nil, err
	}
	defer closeAll(producers)
	var bytes, records atomic.Int64
	var latency histogram
	var failed failures
	r := &Result{Mode: "produce"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		until, cancel := context.WithTimeout(ctx, c.Duration)
		defer cancel()
		life, end := producing(ctx, &c)
		defer end()
		var wg sync.WaitGroup
		for i, cl := range producers {
			wg.Go(func() {
				values := payloads(&c, uint64(i))
				start := time.Now()
				for n := int64(0); pace(until, start, n, float64(c.Rate)/float64(c.Connections)); n++ {
					sent, sample := time.Now(), c.Rate > 0 || n%sampleEvery == 0
					cl.Produce(life, &kgo.Record{Value: values[n%int64(len(values))]}, func(r *kgo.Record, err error) {
						if err != nil {
							failed.add(err)
							return
						}
						bytes.Add(int64(len(r.Value)))
						records.Add(1)
						c.Meter.add(int64(len(r.Value)), 1)
						if sample {
							latency.add(time.Since(sent))
						}
					})
				}
				settle(life, cl, &failed)
			})
		}
		wg.Wait()
		return bytes.Load(), records.Load(), nil
	})
	if err != nil {
		return nil, err
	}
	r.Latency = latency.latency()
	failed.fill(r)
	return r, nil
}
