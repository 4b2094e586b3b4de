package agent

import (
	"context"
	"time"

	"varve/internal/backoff"
)

// stop ends the agent in the reverse order of its start: everything that others can
// take over is given to them first. After a failure of the journal nothing is
// uploaded or sealed: the others, or the next start, decide what counts.
func (a *Agent) stop(failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(a.cfg.ShutdownTimeout, drainTime))
	defer cancel()
	// What is left of the time is for ending connections, and for sealing the journal.
	uploads, over := context.WithTimeout(ctx, a.cfg.ShutdownTimeout/4*3)
	defer over()
	if failed == nil {
		if !a.bucketTakes(uploads) {
			over()
		}
		a.leave(ctx, uploads)
	} else {
		a.closePartitions()       // those that wait are answered at once, and go elsewhere
		a.reg.end(ctx)            // before anything that waits for a disk: the others needn't
		a.run(a.near.peers.Close) // nor wait for one that still answers them
	}
	a.serves.stop()
	a.serves.drain()
	a.election.stop()
	a.serves.groups.Close(ctx)
	if failed == nil {
		a.flushAudit(ctx)
		a.flush(uploads)
	}
	a.tier.stop()
	a.own.Close() // waits for the disk; watchDisk bounds that wait
	if failed == nil {
		a.own.Leave(ctx)
	}
	a.closePartitions()
	a.closeHTTP(ctx)
	a.near.peers.Close()
	a.reg.end(ctx)
	if err := a.heads.Close(ctx); err != nil {
		a.log.Warn("writes to etcd not finished", "err", err)
	}
	if err := a.store.Close(); err != nil {
		a.log.Warn("journals not closed cleanly", "err", err)
	}
	a.log.Info("stopped")
}

func (a *Agent) closePartitions() {
	for _, p := range a.owned.All() {
		p.Close()
	}
}

// How an agent that stops asks whether the bucket is there.
const (
	askBucketFor   = 2 * time.Second
	askBucketPause = 250 * time.Millisecond
)

// bucketTakes reports whether it is worth the time to upload. If not, the partitions are
// given away at once: what isn't in the bucket is in the journal, which other agents keep
// as well, and the next owners read it there. If no agent can take the partitions over, it
// waits for the bucket as long as there is time.
func (a *Agent) bucketTakes(ctx context.Context) bool {
	for {
		err := a.bucketAnswers(ctx)
		if err == nil {
			return true
		}
		if len(a.serves.mover.Heirs()) > 0 || ctx.Err() != nil {
			a.log.Warn("bucket unavailable, nothing is uploaded before the stop", "err", err)
			return false
		}
		_ = backoff.Sleep(ctx, askBucketPause) // the loop looks at ctx
	}
}

// bucketAnswers asks the bucket, now, and whose it is if that isn't known yet.
func (a *Agent) bucketAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askBucketFor)
	defer cancel()
	select {
	case <-a.bucket.done:
		return a.places.ping(ctx)
	default:
		return a.bucket.claim(ctx)
	}
}

// flush uploads what only this disk has, as far as there is time, and returns what stays.
func (a *Agent) flush(ctx context.Context) {
	err := ctx.Err()
	if err == nil {
		err = a.tier.flush(ctx)
	}
	if err == nil {
		return
	}
	var bytes int64
	partitions := 0
	for _, p := range a.owned.All() {
		if n, _ := p.PendingBytes(); n > 0 {
			bytes += n
			partitions++
		}
	}
	if partitions > 0 {
		a.log.Warn("not everything was uploaded, the rest stays in the journal, on this disk and those of its other members", "partitions", partitions, "bytes", bytes, "journal", a.own.ID(), "err", err)
	}
}
