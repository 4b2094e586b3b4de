package upload

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Uploading takes processor time and bandwidth that producers need, and it can
// wait: a burst is spread over the time that records may wait anyhow. The slowest
// pace drains a bundle in a few seconds; each batch waits for a share of the burst.
const (
	minPace   = 16 << 20 // bytes a second
	paceBurst = 4 << 20
)

// stages is how often each byte keeps the pace: when it is loaded, and when it
// becomes part of an object.
const stages = 2

// pacer bounds how fast records are loaded and become objects.
type pacer struct {
	limiter   *rate.Limiter
	maxAge    time.Duration // that records may wait
	unhurried int64         // Deps.Unhurried
	most      int64         // Config.BytesPerSecond
	urgent    atomic.Int32  // flushes that wait: no pace then
}

func newPacer(cfg Config, unhurried int64) *pacer {
	return &pacer{limiter: rate.NewLimiter(rate.Limit(minPace), paceBurst), maxAge: cfg.MaxAge, unhurried: unhurried, most: cfg.BytesPerSecond}
}

// set spreads what waits over the time that it may wait. In a hurry there is
// no limit but the configured one.
func (p *pacer) set(waiting int64, hurry bool) {
	limit := rate.Limit(stages * max(minPace, float64(waiting)/p.maxAge.Seconds()))
	if hurry || p.unhurried > 0 && waiting > p.unhurried {
		limit = rate.Inf
	}
	if p.most > 0 {
		limit = min(limit, rate.Limit(stages*p.most))
	}
	p.limiter.SetLimit(limit)
}

// arrivals estimates how many bytes came within the last MaxAge.
type arrivals struct {
	bytes     float64
	looked    time.Time
	waiting   int64 // when looked
	committed int64 // since then
}

// look updates the estimate. waiting is how many bytes wait now.
func (a *arrivals) look(now time.Time, waiting int64, over time.Duration) {
	came := max(0, waiting-a.waiting+a.committed)
	if !a.looked.IsZero() {
		a.bytes *= math.Exp(-now.Sub(a.looked).Seconds() / over.Seconds())
	}
	*a = arrivals{bytes: a.bytes + float64(came), looked: now, waiting: waiting}
}

// keep waits until n bytes may go through one more stage, unless someone waits for a flush.
func (p *pacer) keep(ctx context.Context, n int) error {
	if p.urgent.Load() > 0 && p.most == 0 {
		return ctx.Err()
	}
	for n > 0 {
		step := min(n, paceBurst)
		if err := p.limiter.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}
