package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none", "":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("compression is %q: must be none, gzip, snappy, lz4 or zstd", name)
}

// options are those of every client, and more.
func (c *Config) options(more ...kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), c.dialWithin(10 * time.Second)}
	if c.SASL != nil {
		opts = append(opts, kgo.SASL(c.SASL))
	}
	return append(opts, more...)
}

// dialWithin bounds the time that a connection may take.
func (c *Config) dialWithin(limit time.Duration) kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return c.connect(ctx, network, addr)
	})
}

// producer makes a client that has reached a broker.
func producer(ctx context.Context, c *Config) (*kgo.Client, error) {
	how, err := codec(c.Compression)
	if err != nil {
		return nil, err
	}
	acks := kgo.AllISRAcks()
	switch c.Acks {
	case 0:
		acks = kgo.NoAck()
	case 1:
		acks = kgo.LeaderAck()
	}
	o := c.options(kgo.DefaultProduceTopic(c.Topic), kgo.ProducerLinger(c.Linger), kgo.ProducerBatchMaxBytes(int32(c.BatchBytes)),
		kgo.MaxBufferedRecords(200_000), kgo.ProducerBatchCompression(how), kgo.RequiredAcks(acks), kgo.RecordDeliveryTimeout(time.Minute),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, true, true, nil)))
	if c.RoundRobinRecords {
		o = append(o, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	}
	if !c.Idempotent {
		o = append(o, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	cl, err := kgo.NewClient(o...)
	if err != nil {
		return nil, err
	}
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

// clients makes Connections clients; open makes the one of a number.
func clients(c *Config, open func(n int) (*kgo.Client, error)) (all []*kgo.Client, err error) {
	for n := range c.Connections {
		cl, err := open(n)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, cl)
	}
	return all, nil
}

func closeAll(clients []*kgo.Client) {
	for _, cl := range clients {
		cl.Close()
	}
}

// pace waits until the n-th of rate records a second is due; false if ctx ended.
func pace(ctx context.Context, start time.Time, n int64, rate float64) bool {
	if rate <= 0 {
		return ctx.Err() == nil
	}
	wait := time.Until(start.Add(time.Duration(float64(n) / rate * 1e9)))
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// settle waits for what is under way until ctx ends; what is not acknowledged by then
// counts as failed.
func settle(ctx context.Context, cl *kgo.Client, failed *failures) {
	if cl.Flush(ctx) == nil {
		return
	}
	for range cl.BufferedProduceRecords() {
		failed.add(context.DeadlineExceeded)
	}
}

// producing bounds the calls of producers: the records of a run are given up some time
// after its end.
func producing(ctx context.Context, c *Config) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.Duration+lateWait)
}
