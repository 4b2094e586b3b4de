// Package backoff waits between the tries of what fails.
package backoff

import (
	"context"
	"time"

	"varve/internal/chance"
)

// Sleep waits for d. It returns ctx's error if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Policy is how waits grow: from Base, twice as long each time, up to Max.
type Policy struct {
	Base, Max time.Duration
}

// After returns the wait after an attempt, which is counted from 0.
func (p Policy) After(attempt int) time.Duration {
	d := p.Base
	for ; attempt > 0 && d < p.Max; attempt-- {
		if d > p.Max/2 {
			return p.Max
		}
		d *= 2
	}
	return min(d, p.Max)
}

// Retry counts the attempts of one caller and waits after each. It is for one goroutine.
type Retry struct {
	Policy
	Random *chance.Source // half of each wait is random, so that callers don't come in step; nil is the system's

	attempt int
}

// Wait waits after an attempt that failed. It returns ctx's error if ctx ends first.
func (r *Retry) Wait(ctx context.Context) error {
	d := r.Random.Spread(r.After(r.attempt))
	r.attempt++
	return Sleep(ctx, d)
}

// Reset begins again with the shortest wait.
func (r *Retry) Reset() { r.attempt = 0 }
