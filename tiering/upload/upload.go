// Package upload moves committed records from the journals to the bucket.
//
// It promises the order of a commit (object, manifest pages, head, and only then the journal
// may forget), and that what fails is tried again. It never decides which agent owns a partition:
// every commit is the owner's guarded write.
package upload

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"varve/internal/chance"
	"varve/internal/id"
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
	pace    *rate.Limiter // of building objects; plan sets it
	urgent  atomic.Int32  // flushes that wait: no pace then
	zip     *zstd.Encoder

	kick      chan struct{}             // holds one token
	requests  chan *flush               // to Run
	stopped   chan struct{}             // closed when Run returned
	behind    atomic.Bool               // more arrives than can be compressed
	arrived   arrivals                  // Run's own: bytes within the last MaxAge
	waiting   atomic.Int64              // bytes, as last looked
	succeeded atomic.Int64              // when a head was last committed, in ms since 1970; 0: never
	flushes   []*flush                  // Run's own
	failed    map[id.Partition]*failure // Run's own, between passes
	failing   atomic.Pointer[[]Stuck]   // what failed, for other goroutines
	flying    map[id.Partition]flight   // Run's own: what is being uploaded
	rooms     [2][]byte                 // Run's own: what passes load into, in turn
	turn      int                       // Run's own: whose turn it is
	roomBytes atomic.Int64              // of rooms
	loaded    time.Time                 // Run's own: when that was used last
}

// keepRoom is how long an uploader that has nothing to do keeps its memory.
const keepRoom = 15 * time.Second

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
	u := &Uploader{cfg: cfg, deps: deps, kick: make(chan struct{}, 1), requests: make(chan *flush), stopped: make(chan struct{}), failed: map[id.Partition]*failure{}, flying: map[id.Partition]flight{}, zip: object.NewCompressor(cfg.Concurrency)}
	u.metrics = newMetrics(deps.Registerer, u)
	u.put = manifest.NewPutter(deps.Store, deps.Log, deps.Random, cfg.RetryBase, cfg.RetryMax,
		func(error) { u.metrics.errors.WithLabelValues("put").Inc() }, u.waiting.Load)
	u.pace = rate.NewLimiter(rate.Limit(minPace), paceBurst)
	return u
}

// Run uploads until ctx ends, once. What it began and didn't finish is begun anew
// by the next owners of the partitions.
func (u *Uploader) Run(ctx context.Context) error {
	defer close(u.stopped)
	tick := time.NewTicker(u.cfg.CheckEvery)
	defer tick.Stop()
	for {
		u.drain(ctx)
		if time.Since(u.loaded) > keepRoom {
			u.rooms = [2][]byte{}
			u.roomBytes.Store(0)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-u.kick:
		case f := <-u.requests:
			u.accept(f)
		}
	}
}

// Memory returns how many bytes the uploader holds for what it loads.
func (u *Uploader) Memory() int64 { return u.roomBytes.Load() }

// Kick makes Run look at once whether something is due.
func (u *Uploader) Kick() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// flush is a wish that something be uploaded now. Run owns it.
type flush struct {
	only []id.Partition         // empty: all
	need map[id.Partition]int64 // bytes that have to be committed
	done chan struct{}
}

// Flush uploads all that waits now, of some partitions or of all, and returns when
// it is committed, or belongs to someone else. It lasts as long as an outage does.
func (u *Uploader) Flush(ctx context.Context, only ...id.Partition) error {
	u.urgent.Add(1)
	defer u.urgent.Add(-1)
	f := &flush{only: only, done: make(chan struct{})}
	select {
	case u.requests <- f:
	case <-u.stopped:
		return fmt.Errorf("flush: %w", context.Canceled)
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", context.Cause(ctx))
	}
	select {
	case <-f.done:
		return nil
	case <-u.stopped:
		return fmt.Errorf("flush: %w", context.Canceled)
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", context.Cause(ctx))
	}
}

// accept notes what a flush needs.
func (u *Uploader) accept(f *flush) {
	f.need = map[id.Partition]int64{}
	for _, p := range f.only {
		f.need[p] = 0
	}
	for s := range u.deps.Sources() {
		p := s.Partition()
		if _, wanted := f.need[p]; wanted || len(f.only) == 0 {
			if bytes, _ := s.PendingBytes(); bytes > 0 {
				f.need[p] = bytes
			}
		}
	}
	for _, p := range f.only {
		if f.need[p] == 0 {
			delete(f.need, p)
		}
	}
	u.flushes = append(u.flushes, f)
	u.finish()
}

// acceptWaiting notes the flushes that wait to be heard.
func (u *Uploader) acceptWaiting() {
	for {
		select {
		case f := <-u.requests:
			u.accept(f)
		default:
			return
		}
	}
}

// flushed takes bytes of a partition off what flushes need; all of them if the
// partition isn't ours any more.
func (u *Uploader) flushed(p id.Partition, bytes int64, gone bool) {
	for _, f := range u.flushes {
		if need, ok := f.need[p]; ok {
			if f.need[p] = need - bytes; gone || need <= bytes {
				delete(f.need, p)
			}
		}
	}
}

// finish answers the flushes that need nothing any more.
func (u *Uploader) finish() {
	left := u.flushes[:0]
	for _, f := range u.flushes {
		if len(f.need) == 0 {
			close(f.done)
			continue
		}
		left = append(left, f)
	}
	clear(u.flushes[len(left):])
	u.flushes = left
}

// flushing reports whether a flush waits for a partition.
func (u *Uploader) flushing(p id.Partition) bool {
	for _, f := range u.flushes {
		if _, ok := f.need[p]; ok {
			return true
		}
	}
	return false
}
