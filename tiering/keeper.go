package tiering

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

	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
	"varve/s3store"
)

// KeeperConfig says how retention works.
type KeeperConfig struct {
	// Interval is how often retention is applied.
	Interval time.Duration `yaml:"interval" doc:"how often retention is applied"`
	// StepTimeout bounds the work on one partition while the bucket is slow.
	StepTimeout time.Duration `yaml:"step_timeout" doc:"longest time that one pass spends on one partition"`
}

// DefaultKeeperConfig is what suits an agent; Kafka's interval is the same.
func DefaultKeeperConfig() KeeperConfig {
	return KeeperConfig{Interval: 5 * time.Minute, StepTimeout: time.Minute}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c KeeperConfig) Validate() error {
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

// KeeperDeps is what a Keeper works with.
type KeeperDeps struct {
	Store   s3store.Store
	Reader  *Reader
	Names   *Names
	Sources func() iter.Seq[Source]
	// Retention gives what a partition's topic keeps; not ok if retention is none
	// of its policies, or it isn't known.
	Retention func(id.Partition) (keep Retention, ok bool)
	// Remember gives for how long a partition's producers are remembered, in ms; 0 is
	// for ever.
	Remember func(id.Partition) int64
	Topic    func(id.Topic) string
	// Clock gives the time in ms since 1970.
	Clock func() int64
	// Dropped is told of objects that a partition doesn't need any more. nil:
	// garbage collection finds them by itself, later.
	Dropped    func([]metadata.Object)
	Random     *chance.Source // spreads retries; nil is the system's
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Keeper moves log starts as retention demands and DeleteRecords asks. It never
// deletes an object.
type Keeper struct {
	cfg     KeeperConfig
	deps    KeeperDeps
	put     *putter
	passing sync.Mutex           // held by the one pass at a time
	due     map[id.Partition]due // the pass's own

	cut     prometheus.Counter
	trimmed prometheus.Counter
	failed  prometheus.Counter
}

// due is when a partition has to be looked at again, unless it changed since.
type due struct {
	start int64 // log start that this holds for
	keep  Retention
	at    int64 // ms
}

// trimAtLeast is how many slices below the log start a manifest may still list.
const trimAtLeast = metadata.MaxHeadSlices

// NewKeeper makes a keeper, which works while Run does. It panics on a config that
// Validate refuses.
func NewKeeper(cfg KeeperConfig, deps KeeperDeps) *Keeper {
	if err := cfg.Validate(); err != nil {
		panic("tiering: keeper config: " + err.Error())
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_tier_retention_" + name, Help: help})
	}
	k := &Keeper{cfg: cfg, deps: deps, due: map[id.Partition]due{},
		cut:     counter("cuts_total", "Times that retention moved a log start offset."),
		trimmed: counter("trims_total", "Manifests rewritten without entries below the log start offset."),
		failed:  counter("errors_total", "Failed attempts to apply retention to a partition."),
	}
	if deps.Registerer != nil {
		deps.Registerer.MustRegister(k.cut, k.trimmed, k.failed)
	}
	k.put = &putter{store: deps.Store, log: deps.Log, random: deps.Random, base: 500 * time.Millisecond, max: 10 * time.Second,
		failed: func(error) {}, waiting: func() int64 { return 0 }}
	return k
}

// Run looks after retention until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.cfg.Interval)
	defer tick.Stop()
	for {
		k.Pass(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Pass looks after every partition once. One pass waits for another.
func (k *Keeper) Pass(ctx context.Context) {
	k.passing.Lock()
	defer k.passing.Unlock()
	seen := map[id.Partition]due{}
	failures := 0
	for s := range k.deps.Sources() {
		if ctx.Err() != nil {
			return
		}
		p := s.Partition()
		next, err := k.look(ctx, s)
		seen[p] = next
		if err == nil || errors.Is(err, ErrNotOwner) || ctx.Err() != nil {
			continue
		}
		k.failed.Inc()
		if failures++; failures == 1 {
			k.deps.Log.Warn("retention failed; it is tried again", "partition", p, "err", err)
		}
	}
	k.due = seen
}

// look does for one partition what has to be done, and says when to look again.
func (k *Keeper) look(ctx context.Context, s Source) (due, error) {
	p, h := s.Partition(), s.Head()
	keep, ok := k.deps.Retention(p)
	if !ok {
		keep = Retention{-1, -1}
	}
	waiting, _ := s.PendingBytes()
	now := k.deps.Clock()
	d := due{start: h.LogStart, keep: keep}
	tooMuch := keep.Bytes >= 0 && h.TieredBytes()+waiting > keep.Bytes
	if old, known := k.due[p]; known && !tooMuch && old.start == d.start && old.keep == d.keep && now < old.at {
		return old, nil
	}
	step, cancel := context.WithTimeout(ctx, k.cfg.StepTimeout)
	defer cancel()
	start, oldest, err := k.deps.Reader.Cut(step, h, p, keep, waiting, now)
	if err != nil {
		return d, err
	}
	d.start, d.at = start, now+24*time.Hour.Milliseconds()
	if keep.Ms >= 0 {
		d.at = min(d.at, max(oldest, now-keep.Ms-1)+keep.Ms+1)
	}
	until, err := k.moveTo(ctx, step, s, start)
	if err != nil {
		return due{}, err
	}
	d.at = min(d.at, until)
	return d, nil
}

// moveTo moves the log start, and rewrites the manifest if enough of it is below.
// ctx is for the commit, whose outcome has to be known; step for what can be left.
// until is when the newest slice, if it stays for its producers only, may go.
func (k *Keeper) moveTo(ctx, step context.Context, s Source, start int64) (until int64, err error) {
	for {
		h := s.Head()
		start := max(start, h.LogStart)
		p := s.Partition()
		e := edit{was: h, manifest: h.Manifest, slices: slices.Clone(h.Slices), start: start, end: h.TieredEnd}
		e.forget(start)
		until = k.forgetProducers(step, &e, p)
		d := &drafts{reader: k.deps.Reader, put: k.put, names: k.deps.Names, wrote: func() {}}
		if e.manifest, err = k.trim(step, d, p, e.manifest, start); err != nil {
			d.settle()
			return 0, err
		}
		if start == h.LogStart && e.manifest == h.Manifest && len(e.slices) == len(h.Slices) {
			return until, nil
		}
		dropped := k.droppedBy(step, h, p, start)
		if n := len(h.Slices); n > 0 && len(e.slices) == 0 {
			dropped = append(dropped, h.Slices[n-1].Object)
		}
		err = e.commit(ctx, s)
		if ctx.Err() == nil {
			d.settle()
		}
		if errors.Is(err, errStale) {
			continue
		}
		if err == nil {
			k.committed(h, &e, dropped)
		}
		return until, err
	}
}

// trim drops what a manifest lists below the log start, if that is enough to be
// worth it, and counts what it holds above.
func (k *Keeper) trim(ctx context.Context, d *drafts, p id.Partition, m metadata.Manifest, start int64) (metadata.Manifest, error) {
	l, err := countLive(ctx, d, p, m, start)
	if err != nil {
		return m, err
	}
	if l.dead >= trimAtLeast {
		return (&tree{d, p, k.deps.Topic(p.Topic)}).trim(ctx, m, start)
	}
	m.Bytes = l.bytes
	return m, nil
}

// forgetProducers drops the newest slice too, if all of it is below the log start
// and nobody may come back of those it remembers. Otherwise it says when that will
// be.
func (k *Keeper) forgetProducers(ctx context.Context, e *edit, p id.Partition) (until int64) {
	until = math.MaxInt64
	if e.start < e.end || len(e.slices) != 1 {
		return until
	}
	producers, err := k.deps.Reader.Producers(ctx, e.was, p)
	if err != nil {
		return 0 // not known: it stays, and the next pass looks again
	}
	keep := k.deps.Remember(p)
	if len(producers) > 0 {
		if keep <= 0 {
			return until
		}
		newest := slices.MaxFunc(producers, func(a, b Producer) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
		if at := newest.Timestamp + keep; at > k.deps.Clock() {
			return at
		}
	}
	e.slices = nil
	return until
}

func (k *Keeper) committed(was *metadata.Head, e *edit, dropped []metadata.Object) {
	if e.start > was.LogStart {
		k.cut.Inc()
	}
	if e.manifest != was.Manifest {
		k.trimmed.Inc()
	}
	if k.deps.Dropped != nil && len(dropped) > 0 {
		k.deps.Dropped(dropped)
	}
}

// maxDropped bounds what is told of at once; the rest is found by sweeping.
const maxDropped = 4096

// droppedBy lists objects with slices between the old and the new log start.
func (k *Keeper) droppedBy(ctx context.Context, h *metadata.Head, p id.Partition, start int64) (names []metadata.Object) {
	if k.deps.Dropped == nil || start == h.LogStart || k.deps.Reader.enter() != nil {
		return nil
	}
	defer k.deps.Reader.leave()
	_ = k.deps.Reader.walk(ctx, h, p, h.LogStart, func(s span) bool { return s.Base < start }, func(s *metadata.Slice) error {
		if s.End > start || len(names) == maxDropped {
			return errStop
		}
		if n := len(names); n == 0 || names[n-1] != s.Object {
			names = append(names, s.Object)
		}
		return nil
	})
	return names
}

// DeleteTo moves a partition's log start to an offset, at most its high watermark,
// which is for the caller to see to (DeleteRecords). What lies below is not read
// any more from when it returns without error.
func (k *Keeper) DeleteTo(ctx context.Context, s Source, offset int64) error {
	for {
		h := s.Head()
		if offset <= h.LogStart {
			return nil
		}
		e := edit{was: h, manifest: h.Manifest, slices: slices.Clone(h.Slices), start: offset, end: h.TieredEnd}
		e.forget(offset)
		if l, err := countLive(ctx, &drafts{reader: k.deps.Reader}, s.Partition(), e.manifest, offset); err == nil {
			e.manifest.Bytes = l.bytes // else retention's next pass does it
		}
		dropped := k.droppedBy(ctx, h, s.Partition(), offset)
		err := e.commit(ctx, s)
		if errors.Is(err, errStale) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete records of %v below %d: %w", s.Partition(), offset, err)
		}
		k.committed(h, &e, dropped)
		return nil
	}
}
