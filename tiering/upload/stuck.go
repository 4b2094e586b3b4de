package upload

import (
	"cmp"
	"context"
	"slices"
	"time"

	"varve/internal/id"
)

// stuckAfter is how long a partition must have failed without a break to be stuck: what
// comes and goes, an outage's first moments or a peer that restarts, is over by then.
const stuckAfter = time.Minute

// Stuck is a partition that waits for the tier and can't be tiered: a part of its tail,
// of what the tier remembers, or of its manifest can't be read. It holds on to the
// journal that all of the agent's partitions share, which fills up in the end.
type Stuck struct {
	Partition id.Partition
	Since     time.Time
	Bytes     int64 // that were to be tiered when it failed last
	Err       error // of the last attempt
}

// Waiting is what is committed and not in the tier at this moment, and for how long the
// oldest of it has been.
func (u *Uploader) Waiting() (bytes int64, oldest time.Duration) {
	now := u.deps.Clock()
	for s := range u.deps.Sources() {
		if n, since := s.PendingBytes(); n > 0 {
			bytes += n
			oldest = max(oldest, time.Duration(now-since)*time.Millisecond)
		}
	}
	return bytes, oldest
}

// Stuck lists the partitions that could not be tiered for a minute or more, the longest
// first. They are tried again all the same.
func (u *Uploader) Stuck() []Stuck {
	failing := u.failing.Load()
	if failing == nil {
		return nil
	}
	long := func(s Stuck) bool { return time.Since(s.Since) < stuckAfter }
	return slices.DeleteFunc(slices.Clone(*failing), long)
}

// failure is a source that couldn't be read; it is left alone for a while.
type failure struct {
	Stuck
	until time.Time
	times int
	told  bool // that it is stuck
}

// leaveAlone keeps a source that can't be read from being tried all the time.
func (u *Uploader) leaveAlone(ctx context.Context, p id.Partition, bytes int64, err error) {
	f := u.failed[p]
	if f == nil {
		f = &failure{Stuck: Stuck{Partition: p, Since: time.Now()}}
		u.failed[p] = f
	}
	f.Bytes, f.Err = bytes, err
	defer u.tellFailing()
	wait := u.cfg.RetryMax
	if f.times < 20 {
		wait = min(wait, u.cfg.RetryBase<<f.times)
	}
	f.times++
	f.until = time.Now().Add(wait)
	u.metrics.errors.WithLabelValues("read").Inc()
	if f.times == 1 && ctx.Err() == nil {
		u.deps.Log.Error("records can't be tiered because something can't be read; it is tried again", "partition", p, "bytes", bytes, "err", err)
	}
}

// recovered notes that a source could be read, or that it isn't ours any more.
func (u *Uploader) recovered(p id.Partition) {
	if f := u.failed[p]; f != nil && f.told {
		u.deps.Log.Info("a partition isn't stuck any more", "partition", p, "since", f.Since)
	}
	if f := u.failed[p]; f != nil {
		delete(u.failed, p)
		u.tellFailing()
	}
}

// noteStuck reports which have become stuck. Of those that failed, only what was seen still
// waits here.
func (u *Uploader) noteStuck(seen map[id.Partition]bool) {
	for p, f := range u.failed {
		switch {
		case !seen[p]:
			u.recovered(p)
		case time.Since(f.Since) >= stuckAfter && !f.told:
			f.told = true
			u.deps.Log.Error("a partition is stuck: its records can't be tiered, and the journal keeps all that came after them", "partition", p,
				"since", f.Since, "bytes", f.Bytes, "err", f.Err)
		}
	}
}

// tellFailing shows Stuck what fails by now.
func (u *Uploader) tellFailing() {
	all := make([]Stuck, 0, len(u.failed))
	for _, f := range u.failed {
		all = append(all, f.Stuck)
	}
	slices.SortFunc(all, func(a, b Stuck) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Partition.String(), b.Partition.String()))
	})
	u.failing.Store(&all)
}
