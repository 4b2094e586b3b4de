package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"varve/partition"
)

// tierPatience bounds a read of the tier when the client would wait for less.
const tierPatience = 20 * time.Second

// patience bounds a read of the tier, or of peers. Records that are at hand don't wait much
// longer than the client would for records; what it asks for again may come meanwhile.
func (call *fetchCall) patience(ctx context.Context, empty bool) (context.Context, context.CancelFunc) {
	if empty {
		return context.WithTimeout(ctx, tierPatience)
	}
	d := max(leastPatience, 2*time.Duration(call.req.MaxWaitMillis)*time.Millisecond)
	return context.WithTimeoutCause(ctx, min(tierPatience, d), partition.ErrLater)
}

// leastPatience is enough for a bucket or a peer that works.
const leastPatience = time.Second

// tierParallel is how many partitions one fetch reads from the tier at a time.
const tierParallel = 8

// leastFar is how much of a partition is worth a read of the tier: a little of each of
// many would take a whole chunk of each out of the bucket, time and again. Where memory
// is scarce the others wait for the next answer, which begins elsewhere.
const leastFar = 1 << 20

// readTier reads partitions whose offset is in the tier, several at a time,
// sharing what is left of the limit. The first may take more than its share.
func (call *fetchCall) readTier(ctx context.Context, parts []*fetchPart, rest int, always bool) (total int) {
	if len(parts) == 0 {
		return 0
	}
	ctx, cancel := call.patience(ctx, always)
	defer cancel()
	// What is lent can't be read by others until the client has taken it.
	rest = min(rest, call.api.tierShare())
	parts = parts[:max(1, min(len(parts), rest/leastFar))]
	var reads errgroup.Group // each partition has an error of its own
	reads.SetLimit(tierParallel)
	share := max(rest/len(parts), 1)
	for i, fp := range parts {
		if rest <= 0 && !(always && i == 0) {
			continue
		}
		reads.Go(func() error {
			call.readFar(ctx, fp, min(share, int(fp.want.maxBytes)), true)
			return nil
		})
	}
	_ = reads.Wait()
	for _, fp := range parts {
		total += fp.data.Bytes
	}
	return total
}

const (
	peersParallel = 16              // partitions that one fetch reads from peers at a time
	peersPatience = 3 * time.Second // after that it asks for no others: the next fetch does
)

// readPeers reads partitions whose offset is in tails that only peers have, several at
// a time, so that one that is slow doesn't add to the others. It reports whether there is
// something to answer.
func (call *fetchCall) readPeers(ctx context.Context, parts []*fetchPart, rest int, always bool) (answer bool) {
	ctx, cancel := call.patience(ctx, always)
	defer cancel()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(rest))
	share := max(rest/len(parts), 1)
	slots := semaphore.NewWeighted(peersParallel)
	late, stop := context.WithTimeout(ctx, peersPatience)
	defer stop()
	for i, fp := range parts {
		if slots.Acquire(late, 1) != nil || left.Load() <= 0 && !(always && i == 0) {
			break
		}
		wg.Go(func() {
			defer slots.Release(1)
			limit := min(share, int(fp.want.maxBytes))
			call.readFar(ctx, fp, limit, limit > 0 || always && i == 0)
			left.Add(-int64(fp.data.Bytes))
		})
	}
	wg.Wait()
	for _, fp := range parts {
		answer = answer || fp.data.Bytes > 0 || fp.err != nil
	}
	return answer
}

// readFar reads a partition from where ReadNear said that its records are.
func (call *fetchCall) readFar(ctx context.Context, fp *fetchPart, limit int, always bool) {
	fp.data, fp.state, fp.err = fp.p.ReadFar(ctx, fp.at, call.reading(fp, fp.want.offset, limit, always))
}
