package sim

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"varve/s3store"
)

var errBucket = errors.New("the simulated bucket failed")

// bucketFaults is a process's way to the bucket.
type bucketFaults struct {
	g *gate
	w *world

	mu     sync.Mutex
	random *rand.Rand
	cut    bool
}

func (b *bucketFaults) setCut(yes bool) {
	b.mu.Lock()
	b.cut = yes
	b.mu.Unlock()
}

// fault takes time, and fails when the bucket is away for all or for this agent:
// before or after the call was done.
func (b *bucketFaults) fault(s3store.Call) (f s3store.Fault) {
	if f.Before = b.g.pass(); f.Before != nil {
		return f
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f.Delay = time.Millisecond + time.Duration(b.random.Int64N(int64(20*time.Millisecond)))
	failing := b.cut || b.w.bucketAway.Load()
	switch {
	case !failing && b.random.IntN(50) > 0:
	case b.random.IntN(3) == 0:
		f.After = errBucket
	default:
		f.Before = errBucket
	}
	return f
}
