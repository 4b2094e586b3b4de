package agent

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/partition"
)

// One consumer replays more partitions than there is memory for at a time: no fetch waits
// for what it holds itself.
func TestReplayOfManyPartitions(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) {
		c.Read.ChunkBytes, c.Read.MemoryBytes, c.Read.ReadaheadBytes = 256<<10, 2<<20, 0
		c.Read.MemoryWait = time.Minute // longer than the test's patience
	}
	a := w.start()
	const partitions, each, size = 24, 30, 20 << 10
	cl := a.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(64<<10))
	if r, err := kadm.NewClient(cl).CreateTopic(t.Context(), partitions, 1, nil, "t"); err != nil || r.Err != nil {
		t.Fatal(err, r.Err)
	}
	for p := range int32(partitions) {
		for range each {
			cl.Produce(t.Context(), &kgo.Record{Partition: p, Value: make([]byte, size)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.tier.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.until("the journal's files are recycled", func() bool {
		p := a.owned.All()[0]
		d, at, _, err := p.ReadNear(partition.Reading{Offset: 0, Limit: 1, Always: true, Epoch: -1})
		d.Release()
		return err == nil && at == partition.InTier
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := a.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := 0; n < partitions*each; {
		fs := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records were read", n, partitions*each)
		}
		n += fs.NumRecords()
	}
}
