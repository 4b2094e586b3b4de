package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	peersParallel = 16              // partitions that one fetch reads from peers at a time
	peersPatience = 3 * time.Second // after that it asks for no others: the next fetch does
)

// readPeers reads partitions whose offset lies in tails that only peers have, several at
// a time, so that one that is slow doesn't add to the others. It says whether there is
// something to answer.
func (call *fetchCall) readPeers(ctx context.Context, parts []*fetchPart, rest int, always bool) (answer bool) {
	ctx, cancel := context.WithTimeout(ctx, tierPatience)
	defer cancel()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(rest))
	share := max(rest/len(parts), 1)
	slots := make(chan struct{}, peersParallel)
	late := time.NewTimer(peersPatience)
	defer late.Stop()
	for i, fp := range parts {
		over := false
		select {
		case slots <- struct{}{}:
			over = left.Load() <= 0 && !(always && i == 0)
		case <-late.C:
			over = true
		}
		if over {
			break
		}
		wg.Go(func() {
			fp.readPeer(ctx, call.b, min(share, int(fp.want.maxBytes)), always && i == 0)
			left.Add(-int64(fp.bytes()))
			<-slots
		})
	}
	wg.Wait()
	for _, fp := range parts {
		answer = answer || fp.bytes() > 0 || fp.err != nil
	}
	return answer
}

func (fp *fetchPart) readPeer(ctx context.Context, b *Broker, limit int, always bool) {
	fp.data, fp.tier, fp.state, fp.err = fp.p.Tail(fp.want.offset, limit, always || limit > 0, fp.want.epoch)
	if fp.tier { // since it was looked at
		fp.readTier(ctx, b, limit)
	}
}
