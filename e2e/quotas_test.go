package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// told counts the answers that told a client to wait.
type told struct {
	waits atomic.Int32
	first chan struct{} // closed at the first
}

func newTold() *told { return &told{first: make(chan struct{})} }

func (h *told) OnBrokerThrottle(_ kgo.BrokerMetadata, _ time.Duration, _ bool) {
	if h.waits.Add(1) == 1 {
		close(h.first)
	}
}

// rated waits until a client is told to wait for the first time, and then measures how fast a
// number of bytes grows. As by Kafka a client may use at once what is allowed in the ten seconds
// of a window, and then waits until they are over: so it is measured for two windows with
// samples, from the middle of one on.
func (h *told) rated(t *testing.T, bytes *atomic.Int64) float64 {
	t.Helper()
	select {
	case <-h.first:
	case <-time.After(30 * time.Second):
		t.Fatalf("after 30 s and %d bytes nothing was told to wait", bytes.Load())
	}
	time.Sleep(5 * time.Second)
	before, began := bytes.Load(), time.Now()
	time.Sleep(22 * time.Second)
	return float64(bytes.Load()-before) / time.Since(began).Seconds()
}

// Quotas bound what a client produces and consumes, and tell it to wait; other clients go on.
// They hold again after the agent was killed.
func TestQuotas(t *testing.T) {
	t.Parallel()
	const rate = 1 << 20
	s := newSite(t)
	s.start()
	client := func(id string, opts ...kgo.Opt) *kgo.Client {
		t.Helper()
		c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.kafka), kgo.ClientID(id), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("t"),
			kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(64 << 10)}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	value := make([]byte, 10<<10)
	free := client("free")
	for range 60 * rate / len(value) {
		free.Produce(t.Context(), &kgo.Record{Value: value}, nil)
	}
	if err := free.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	output(t, "quota", "set", "producer_byte_rate=1MiB", "consumer_byte_rate=1MiB", "--name", "client-id=limited", "-b", s.kafka)
	within := func(t *testing.T, what string, got float64) {
		t.Helper()
		t.Logf("%s: %.2f MiB/s", what, got/rate)
		if got < 0.8*rate || got > 1.2*rate {
			t.Errorf("%s: %.0f bytes per second, want %d", what, got, rate)
		}
	}

	t.Run("both", func(t *testing.T) {
		t.Run("produce", func(t *testing.T) {
			t.Parallel()
			h := newTold()
			c := client("limited", kgo.WithHooks(h))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var acked atomic.Int64
			go func() {
				for ctx.Err() == nil {
					c.Produce(ctx, &kgo.Record{Value: value}, func(r *kgo.Record, err error) {
						if err == nil {
							acked.Add(int64(len(r.Value)))
						}
					})
				}
			}()
			within(t, "produced", h.rated(t, &acked))
			began := time.Now()
			if err := free.ProduceSync(t.Context(), &kgo.Record{Value: value}).FirstErr(); err != nil || time.Since(began) > 2*time.Second {
				t.Errorf("another client: %v after %v", err, time.Since(began))
			}
		})
		t.Run("consume", func(t *testing.T) {
			t.Parallel()
			h := newTold()
			c := client("limited", kgo.WithHooks(h), kgo.ConsumeTopics("t"), kgo.FetchMaxPartitionBytes(128<<10), kgo.FetchMaxBytes(128<<10))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var fetched atomic.Int64
			go func() {
				for ctx.Err() == nil {
					c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { fetched.Add(int64(len(r.Value))) })
				}
			}()
			within(t, "consumed", h.rated(t, &fetched))
		})

	})

	s.agent.kill()
	s.start()
	if out := output(t, "quota", "list", "-b", s.kafka); strings.Count(out, "client-id=limited") != 2 {
		t.Errorf("after a restart:\n%s", out)
	}
	h := newTold()
	c := client("limited", kgo.WithHooks(h))
	for range 12 * rate / len(value) {
		c.Produce(t.Context(), &kgo.Record{Value: value}, nil)
	}
	select {
	case <-h.first:
	case <-time.After(30 * time.Second):
		t.Error("after a restart nothing was told to wait")
	}
	page, err := get("http://" + s.http + "/metrics")
	if want := fmt.Sprintf("varve_quota_throttles_total{client_id=%q,ip=\"\",quota=%q,user=\"\"}", "limited", "producer_byte_rate"); err != nil || !strings.Contains(page, want) {
		t.Errorf("the metrics don't have %s: %v", want, err)
	}
}
