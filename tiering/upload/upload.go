// Package upload moves committed records from the journals to the bucket.
//
// It promises the order of a commit (object, manifest pages, head, and only then the journal
// may forget), and that what fails is tried again. It never decides which agent owns a partition:
// every commit is the owner's guarded write.
package upload

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/notify"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Deps is what an Uploader works with. Functions may be nil where that is said.
type Deps struct {
	Store s3store.Store
	Pages manifest.Pages
	IDs   *manifest.ObjectIDs
	// Sources returns the partitions that this agent owns.
	Sources func() iter.Seq[Source]
	// Topic returns a topic's name, "" if it isn't known. It goes into objects, for
	// a reader that has nothing but the bucket.
	Topic func(id.Topic) string
	// Clock returns the time in ms since 1970, the clock of Source.PendingBytes.
	Clock func() int64
	// Hurry is set when the journal is filling up: all that waits is uploaded now.
	// nil is never.
	Hurry func() bool
	// Unhurried is the number of waiting bytes above which uploads are not paced. 0: they
	// are paced however much waits.
	Unhurried int64
	// OnCommitted is called after heads were committed: the journal may be
	// trimmed. It may be nil.
	OnCommitted func()
	Random      *chance.Source // spreads retries; nil is the system's
	Log         *slog.Logger
	Registerer  prometheus.Registerer // nil: no metrics
}

// Uploader moves what is committed from the journals of this agent to the bucket,
// in the order of a commit: the object, manifest pages, the head, and then the
// journal may forget. What fails is tried again for ever; a crash at any point
// leaves at worst an object that no one names.
type Uploader struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	put     *manifest.Putter
	pace    *pacer // of loading and building objects; plan sets it
	zip     *zstd.Encoder
	kick    notify.Signal
	flushes *flushes
	failed  *failures

	behind    atomic.Bool             // more arrives than can be compressed
	waiting   atomic.Int64            // bytes, as last looked
	succeeded atomic.Int64            // when a head was last committed, in ms since 1970; 0: never
	arrived   arrivals                // Run's own: bytes within the last MaxAge
	flying    map[id.Partition]flight // Run's own: what is being uploaded
	rooms     rooms                   // Run's own, but for its size
}

// New makes an uploader, which works while Run does. It panics on a config
// that Validate refuses.
func New(cfg Config, deps Deps) *Uploader {
	if err := cfg.Validate(); err != nil {
		panic("upload: config: " + err.Error())
	}
	if deps.Hurry == nil {
		deps.Hurry = func() bool { return false }
	}
	if deps.OnCommitted == nil {
		deps.OnCommitted = func() {}
	}
	u := &Uploader{cfg: cfg, deps: deps, pace: newPacer(cfg, deps.Unhurried), zip: object.NewCompressor(cfg.Concurrency), kick: notify.NewSignal(),
		flushes: newFlushes(), flying: map[id.Partition]flight{}}
	u.metrics = newMetrics(deps.Registerer)
	u.failed = newFailures(cfg.RetryBase, cfg.RetryMax, u.metrics.errors.WithLabelValues("read"), deps.Log)
	u.put = manifest.NewPutter(deps.Store, deps.Log, deps.Random, cfg.RetryBase, cfg.RetryMax,
		func(error) { u.metrics.errors.WithLabelValues("put").Inc() }, u.waiting.Load)
	if deps.Registerer != nil {
		deps.Registerer.MustRegister(uploadState{u})
	}
	return u
}

// Run uploads until ctx ends, once. What it began and didn't finish is begun anew
// by the next owners of the partitions.
func (u *Uploader) Run(ctx context.Context) error {
	defer close(u.flushes.stopped)
	tick := time.NewTicker(u.cfg.CheckEvery)
	defer tick.Stop()
	for {
		u.drain(ctx)
		u.rooms.release()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-u.kick:
		case f := <-u.flushes.requests:
			u.accept(f)
		}
	}
}

// Memory returns how many bytes the uploader holds for what it loads.
func (u *Uploader) Memory() int64 { return u.rooms.bytes.Load() }

// Kick makes Run look at once whether something is due.
func (u *Uploader) Kick() { u.kick.Set() }

// Flush uploads all that waits now, of some partitions or of all, and returns when
// it is committed, or belongs to someone else. It lasts as long as an outage does.
func (u *Uploader) Flush(ctx context.Context, only ...id.Partition) error {
	u.pace.urgent.Add(1)
	defer u.pace.urgent.Add(-1)
	return u.flushes.ask(ctx, only)
}

// accept notes what a flush needs.
func (u *Uploader) accept(f *flush) {
	u.flushes.accept(f, func(yield func(id.Partition, int64) bool) {
		for s := range u.deps.Sources() {
			if bytes, _ := s.PendingBytes(); !yield(s.Partition(), bytes) {
				return
			}
		}
	})
}

// acceptWaiting notes the flushes that wait to be heard.
func (u *Uploader) acceptWaiting() {
	for {
		select {
		case f := <-u.flushes.requests:
			u.accept(f)
		default:
			return
		}
	}
}
