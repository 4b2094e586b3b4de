package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// beginRecovery decides the end of a dead writer's journal in the background, unless
// that is under way, or has failed just now.
func (c *Controller) beginRecovery(ctx context.Context, j id.Journal, rec cluster.Journal, live []id.Incarnation) {
	c.mu.Lock()
	w := c.mu.waiting[j]
	busy := c.mu.recovering[j] || w.pauses(time.Now(), live)
	if !busy {
		c.mu.recovering[j] = true
	}
	c.mu.Unlock()
	if busy {
		return
	}
	c.tasks.Go(func() {
		began := time.Now()
		end, err := c.recover(ctx, j, rec)
		c.mu.Lock()
		delete(c.mu.recovering, j)
		was := c.mu.waiting[j].why
		delete(c.mu.waiting, j)
		if err != nil && !errors.Is(err, metadata.ErrConflict) { // else someone goes on with it
			c.mu.waiting[j] = w.again(err, live)
		}
		c.mu.Unlock()
		switch {
		case err == nil:
			c.metrics.recoveries.Observe(time.Since(began).Seconds())
			c.log.Info("journal recovered", "journal", j, "entries", end, "took", time.Since(began))
		case ctx.Err() == nil && err.Error() != was && !errors.Is(err, metadata.ErrConflict):
			c.log.Warn("journal can't be recovered, its partitions wait for its members (bring them back, or run 'varve cluster accept-loss')", "journal", j, "err", err)
		}
	})
}

// waiting is a journal whose recovery failed, and which is tried again later.
type waiting struct {
	why   string
	until time.Time        // not before,
	pause time.Duration    // since it failed as often as this has doubled,
	live  []id.Incarnation // unless an agent comes or goes
}

// recoverPauseMax bounds the pause between two tries. Each writes to etcd, which all
// agents see, and to the members' disks.
const recoverPauseMax = 10 * time.Second

func (w waiting) pauses(now time.Time, live []id.Incarnation) bool {
	return now.Before(w.until) && slices.Equal(w.live, live)
}

func (w waiting) again(err error, live []id.Incarnation) waiting {
	pause := retryEvery
	if slices.Equal(w.live, live) {
		pause = min(max(retryEvery, 2*w.pause), recoverPauseMax)
	}
	return waiting{err.Error(), time.Now().Add(pause), pause, live}
}

// forgetWaiting forgets journals that wait no more: their loss was accepted, or another
// agent recovered them.
func (c *Controller) forgetWaiting(p *picture) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for j := range c.mu.waiting {
		if rec, ok := p.journals[j]; !ok || rec.State == schema.JournalSealed {
			delete(c.mu.waiting, j)
		}
	}
}
