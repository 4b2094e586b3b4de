package upload

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
func (u *Uploader) Stuck() []Stuck { return u.failed.stuck() }

func (fs *failures) stuck() []Stuck {
	failing := fs.shown.Load()
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

// failures are the sources that couldn't be read. Run owns them, but for what is shown.
type failures struct {
	retryBase, retryMax time.Duration
	errors              prometheus.Counter
	log                 *slog.Logger

	by    map[id.Partition]*failure
	shown atomic.Pointer[[]Stuck] // what failed, for other goroutines
}

func newFailures(retryBase, retryMax time.Duration, errors prometheus.Counter, log *slog.Logger) *failures {
	return &failures{retryBase: retryBase, retryMax: retryMax, errors: errors, log: log, by: map[id.Partition]*failure{}}
}

// pauses reports whether a source is left alone now.
func (fs *failures) pauses(p id.Partition) bool {
	f := fs.by[p]
	return f != nil && time.Now().Before(f.until)
}

// leaveAlone keeps a source that can't be read from being tried all the time.
func (fs *failures) leaveAlone(ctx context.Context, p id.Partition, bytes int64, err error) {
	f := fs.by[p]
	if f == nil {
		f = &failure{Stuck: Stuck{Partition: p, Since: time.Now()}}
		fs.by[p] = f
	}
	f.Bytes, f.Err = bytes, err
	defer fs.show()
	wait := fs.retryMax
	if f.times < 20 {
		wait = min(wait, fs.retryBase<<f.times)
	}
	f.times++
	f.until = time.Now().Add(wait)
	fs.errors.Inc()
	if f.times == 1 && ctx.Err() == nil {
		fs.log.Error("records can't be tiered because something can't be read; it is tried again", "partition", p, "bytes", bytes, "err", err)
	}
}

// recovered notes that a source could be read, or that it isn't ours any more.
func (fs *failures) recovered(p id.Partition) {
	if f := fs.by[p]; f != nil && f.told {
		fs.log.Info("a partition isn't stuck any more", "partition", p, "since", f.Since)
	}
	if f := fs.by[p]; f != nil {
		delete(fs.by, p)
		fs.show()
	}
}

// keep reports which have become stuck. Of those that failed, only what waits is kept.
func (fs *failures) keep(waits map[id.Partition]bool) {
	for p, f := range fs.by {
		switch {
		case !waits[p]:
			fs.recovered(p)
		case time.Since(f.Since) >= stuckAfter && !f.told:
			f.told = true
			fs.log.Error("a partition is stuck: its records can't be tiered, and the journal keeps all that came after them", "partition", p,
				"since", f.Since, "bytes", f.Bytes, "err", f.Err)
		}
	}
}

// show makes stuck return what fails by now.
func (fs *failures) show() {
	all := make([]Stuck, 0, len(fs.by))
	for _, f := range fs.by {
		all = append(all, f.Stuck)
	}
	slices.SortFunc(all, func(a, b Stuck) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Partition.String(), b.Partition.String()))
	})
	fs.shown.Store(&all)
}
