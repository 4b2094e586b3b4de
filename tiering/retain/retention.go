// Package retain moves log starts: as retention demands, and as DeleteRecords asks.
//
// It promises to drop whole slices only, the oldest first, and none that a topic's limits
// keep. It never deletes an object.
package retain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Config is how retention works.
type Config struct {
	// Interval is how often retention is applied.
	Interval time.Duration `yaml:"interval" doc:"how often retention is applied"`
	// StepTimeout bounds the work on one partition while the bucket is slow.
	StepTimeout time.Duration `yaml:"step_timeout" doc:"longest time that one pass spends on one partition"`
}

// DefaultConfig is what suits an agent; Kafka's interval is the same.
func DefaultConfig() Config {
	return Config{Interval: 5 * time.Minute, StepTimeout: time.Minute}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Interval <= 0 {
		bad("interval: %v, allowed is more than 0", c.Interval)
	}
	if c.StepTimeout <= 0 {
		bad("step_timeout: %v, allowed is more than 0", c.StepTimeout)
	}
	return errors.Join(errs...)
}

// Source is an owned partition that has to be cut.
type Source interface {
	manifest.Owned
	// PendingBytes returns how many bytes are not in the tier yet, and the append time in ms
	// of the oldest of them.
	PendingBytes() (bytes, oldest int64)
}

// Reader answers what retention asks about the tier.
type Reader interface {
	manifest.Pages
	// Producers returns the producers as they were after the newest slice.
	Producers(ctx context.Context, h *schema.Head, p id.Partition) ([]object.Producer, error)
	// NewestIn returns the largest timestamp of a slice's records in ms, -1 if none has one.
	NewestIn(ctx context.Context, s *schema.Slice) (int64, error)
}

// Deps is what a Retention works with.
type Deps struct {
	Store   s3store.Store
	Reader  Reader
	IDs     *manifest.ObjectIDs
	Sources func() iter.Seq[Source]
	// Limits returns what a partition's topic keeps; not ok if retention is none
	// of its policies, or it isn't known.
	Limits func(id.Partition) (keep Limits, ok bool)
	// Remember returns how long a partition's producers are remembered, in ms; 0 is
	// for ever.
	Remember func(id.Partition) int64
	Topic    func(id.Topic) string
	// Clock returns the time in ms since 1970.
	Clock func() int64
	// Dropped is called with objects that a partition doesn't need any more. nil:
	// garbage collection finds them by itself, later.
	Dropped    func([]schema.Object)
	Random     *chance.Source // spreads retries; nil is the system's
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Retention moves log starts as retention demands and DeleteRecords asks. It never
// deletes an object.
type Retention struct {
	cfg     Config
	deps    Deps
	put     *manifest.Putter
	passing sync.Mutex           // held by the one pass at a time
	due     map[id.Partition]due // the pass's own

	cuts     prometheus.Counter
	trims    prometheus.Counter
	failures prometheus.Counter
}

// due is when a partition has to be looked at again, unless it changed since.
type due struct {
	start int64 // log start that this holds for
	keep  Limits
	at    int64 // ms
}

// trimAtLeast is how many slices below the log start a manifest may still list.
const trimAtLeast = schema.MaxHeadSlices

// New makes a retention, which works while Run does. It panics on a config that
// Validate refuses.
func New(cfg Config, deps Deps) *Retention {
	if err := cfg.Validate(); err != nil {
		panic("retain: config: " + err.Error())
	}
	auto := promauto.With(deps.Registerer)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "varve_tier_retention_" + name, Help: help})
	}
	r := &Retention{cfg: cfg, deps: deps, due: map[id.Partition]due{},
		cuts:     counter("cuts_total", "Times that retention moved a log start offset."),
		trims:    counter("trims_total", "Manifests rewritten without entries below the log start offset."),
		failures: counter("errors_total", "Failed attempts to apply retention to a partition."),
	}
	r.put = manifest.NewPutter(deps.Store, deps.Log, deps.Random, 500*time.Millisecond, 10*time.Second, func(error) {}, func() int64 { return 0 })
	return r
}

// Run looks after retention until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for {
		r.Pass(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Pass looks after every partition once. One pass waits for another.
func (r *Retention) Pass(ctx context.Context) {
	r.passing.Lock()
	defer r.passing.Unlock()
	seen := map[id.Partition]due{}
	failures := 0
	for s := range r.deps.Sources() {
		if ctx.Err() != nil {
			return
		}
		p := s.Partition()
		next, err := r.look(ctx, s)
		seen[p] = next
		if err == nil || errors.Is(err, manifest.ErrNotOwner) || ctx.Err() != nil {
			continue
		}
		r.failures.Inc()
		if failures++; failures == 1 {
			r.deps.Log.Warn("retention failed; it is tried again", "partition", p, "err", err)
		}
	}
	r.due = seen
}

// look does for one partition what has to be done, and returns when to look again.
func (r *Retention) look(ctx context.Context, s Source) (due, error) {
	p, h := s.Partition(), s.Head()
	keep, ok := r.deps.Limits(p)
	if !ok {
		keep = Limits{-1, -1}
	}
	waiting, _ := s.PendingBytes()
	now := r.deps.Clock()
	d := due{start: h.LogStart, keep: keep}
	tooMuch := keep.Bytes >= 0 && h.TieredBytes()+waiting > keep.Bytes
	if old, known := r.due[p]; known && !tooMuch && old.start == d.start && old.keep == d.keep && now < old.at {
		return old, nil
	}
	step, cancel := context.WithTimeout(ctx, r.cfg.StepTimeout)
	defer cancel()
	start, oldest, err := r.cut(step, h, p, keep, waiting, now)
	if err != nil {
		return d, err
	}
	d.start, d.at = start, now+24*time.Hour.Milliseconds()
	if keep.Ms >= 0 {
		d.at = min(d.at, max(oldest, now-keep.Ms-1)+keep.Ms+1)
	}
	until, err := r.moveTo(ctx, step, s, start)
	if err != nil {
		return due{}, err
	}
	d.at = min(d.at, until)
	return d, nil
}

// moveTo moves the log start, and rewrites the manifest if enough of it is below.
// ctx is for the commit, whose outcome has to be known; step for what can be left.
// until is when the newest slice, if it stays for its producers only, may go.
func (r *Retention) moveTo(ctx, step context.Context, s Source, start int64) (until int64, err error) {
	p := s.Partition()
	for {
		h := s.Head()
		e := manifest.Edit{Start: max(start, h.LogStart), Trim: trimAtLeast}
		e.Deadline, _ = step.Deadline()
		until = r.forgetProducers(step, h, &e, p)
		err = r.commit(ctx, step, s, &e)
		if !errors.Is(err, manifest.ErrChanged) {
			return until, err
		}
	}
}

// commit commits an edit, and tells of what it dropped.
func (r *Retention) commit(ctx, step context.Context, s manifest.Owned, e *manifest.Edit) error {
	p := s.Partition()
	d := manifest.NewPageWriter(r.deps.Reader, r.put, r.deps.IDs, func() {})
	was, now, err := e.Commit(ctx, s, d, r.deps.Topic(p.Topic))
	if ctx.Err() == nil {
		d.Settle()
	}
	if err == nil {
		r.committed(step, was, now, p)
	}
	return err
}

// forgetProducers lets an edit drop the newest slice too, if all of the tier is below the
// log start and no one may come back of the producers that it remembers. Otherwise it returns
// when that will be.
func (r *Retention) forgetProducers(ctx context.Context, h *schema.Head, e *manifest.Edit, p id.Partition) (until int64) {
	until = math.MaxInt64
	n := len(h.Slices)
	if e.Start < h.TieredEnd || n == 0 {
		return until
	}
	producers, err := r.deps.Reader.Producers(ctx, h, p)
	if err != nil {
		return 0 // not known: it stays, and the next pass looks again
	}
	keep := r.deps.Remember(p)
	if len(producers) > 0 {
		if keep <= 0 {
			return until
		}
		newest := slices.MaxFunc(producers, func(a, b object.Producer) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
		if at := newest.Timestamp + keep; at > r.deps.Clock() {
			return at
		}
	}
	e.From, e.To, e.Was = h.Slices[0].Base, h.Slices[n-1].End, h.Slices
	return until
}

func (r *Retention) committed(ctx context.Context, was, now *schema.Head, p id.Partition) {
	if now.LogStart > was.LogStart {
		r.cuts.Inc()
	}
	if now.Manifest != was.Manifest {
		r.trims.Inc()
	}
	dropped := r.droppedBy(ctx, was, p, now.LogStart)
	if n := len(was.Slices); n > 0 && len(now.Slices) == 0 {
		dropped = append(dropped, was.Slices[n-1].Object)
	}
	if r.deps.Dropped != nil && len(dropped) > 0 {
		r.deps.Dropped(dropped)
	}
}

// maxDropped bounds what is reported at once; the rest is found by sweeping.
const maxDropped = 4096

// droppedBy lists objects with slices between the old and the new log start.
func (r *Retention) droppedBy(ctx context.Context, h *schema.Head, p id.Partition, start int64) (names []schema.Object) {
	if r.deps.Dropped == nil || start == h.LogStart {
		return nil
	}
	enough := errors.New("enough")
	_ = manifest.Walk(ctx, r.deps.Reader, h, p, h.LogStart, func(s manifest.Span) bool { return s.Base < start }, func(s *schema.Slice) error {
		if s.End > start || len(names) == maxDropped {
			return enough
		}
		if n := len(names); n == 0 || names[n-1] != s.Object {
			names = append(names, s.Object)
		}
		return nil
	})
	return names
}

// DeleteTo moves a partition's log start to an offset, at most its high watermark,
// which is for the caller to see to (DeleteRecords). What is below is not read
// any more from when it returns without error.
func (r *Retention) DeleteTo(ctx context.Context, s manifest.Owned, offset int64) error {
	if offset <= s.Head().LogStart {
		return nil
	}
	if err := r.commit(ctx, ctx, s, &manifest.Edit{Start: offset}); err != nil {
		return fmt.Errorf("delete records of %v below %d: %w", s.Partition(), offset, err)
	}
	return nil
}
