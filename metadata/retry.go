package metadata

import (
	"context"
	"time"

	"varve/internal/chance"
)

// Bounds of the wait between two tries.
const (
	minRetryWait = 20 * time.Millisecond
	maxRetryWait = time.Second
)

// retryWait is a growing wait between tries; the zero value is ready.
type retryWait struct {
	next   time.Duration
	random *chance.Source
}

// sleep waits, half of it by chance so that agents don't come in step, and
// doubles the wait; false if ctx ended.
func (r *retryWait) sleep(ctx context.Context) bool {
	r.next = min(max(r.next*2, minRetryWait), maxRetryWait)
	t := time.NewTimer(r.random.Spread(r.next))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// reset begins again with the shortest wait.
func (r *retryWait) reset() { r.next = 0 }
