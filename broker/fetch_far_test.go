package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
	"varve/tiering/read"
)

// silentTier answers nothing, as a bucket behind a network that drops packets.
type silentTier struct{ busyTier }

func (silentTier) Read(ctx context.Context, _ *schema.Head, _ id.Partition, _ int64, _ int) (d read.Data, err error) {
	<-ctx.Done()
	return d, ctx.Err()
}

// Promise 6: while the bucket is away, records at the tail don't wait for those that another
// partition of the same fetch has in the tier.
func TestRecordsAtTheTailDoNotWaitForTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetchBench(t, 2)
		f.deps.Tier = silentTier{busyTier{f: f}}
		f.parts[0] = partition.New(&f.deps, schema.StoredHead{Partition: f.parts[0].ID(), Head: &schema.Head{TieredEnd: 7}}, f.parts[0].Settings())
		f.parts[0].Serve()
		size := f.produce(1)
		began := time.Now()
		const maxWait = 500 * time.Millisecond
		if n := <-f.fetch(1, 1<<20, 1<<20, maxWait); n != size || time.Since(began) > 4*maxWait {
			t.Errorf("%d bytes of %d after %v, though the client waits for %v at most", n, size, time.Since(began), maxWait)
		}
	})
}
