package partition

import (
	"context"

	"varve/internal/id"
	"varve/internal/mutate"
	"varve/tiering/object"
	"varve/wal"
)

// Untiered is what of a partition is in journals and not in the tier.
type Untiered struct {
	deps *Deps
	mu   *guarded
}

// Pending returns what is committed and not in the tier, from an offset on, at most
// about limit bytes.
func (u *Untiered) Pending(from, limit int64) object.Run {
	var known []entry
	u.mu.Lock()
	run := object.Run{Batches: u.mu.log.pending(from, limit)}
	n := len(run.Batches)
	if n > 0 {
		known = u.mu.producers.copy()
	}
	u.mu.Unlock()
	if n > 0 {
		run.Producers = snapshot(known, run.Batches[n-1].End)
	}
	return run
}

// PendingBytes returns how much waits for the tier and since when, in ms. What is owned by
// another agent by now, or by none, waits for nothing here: its head refuses every
// commit, and each try would store the same records in the bucket again.
func (u *Untiered) PendingBytes() (bytes, oldest int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.log.closed != nil {
		return 0, 0
	}
	return u.mu.backlog.bytes, u.mu.backlog.since
}

// Read fills buf with a pending batch.
func (u *Untiered) Read(_ context.Context, b object.Batch, buf []byte) error {
	return readAt(u.deps.Local, buf, b.Location.Journal, wal.Pos(b.Location.Pos), b.Base, b.End, b.Epoch)
}

// Needs tells, for each journal that holds something which is not in the tier,
// the first place of it.
func (u *Untiered) Needs(each func(j id.Journal, from wal.Pos)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	tiered := u.mu.log.head.TieredEnd
	if mutate.On(mutate.TrimUntiered) {
		tiered = u.mu.log.high
	}
	u.mu.log.tail.needs(tiered, each)
}
