// Package garbage deletes the objects that nothing refers to any more, and what is left of
// deleted topics.
//
// It promises to delete by proof: in doubt an object stays.
package garbage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Config is how carefully and how fast garbage is collected.
type Config struct {
	// Grace is the minimum age of an object before it may be deleted.
	Grace time.Duration `yaml:"grace" doc:"minimum age of an object before it may be deleted"`
	// Interval is the pause between passes.
	Interval time.Duration `yaml:"interval" doc:"delay between passes of the garbage collector"`
	// SweepObjects is how many objects a pass looks at beside those that are known
	// to have been dropped; one or two requests each. The next pass goes on there.
	SweepObjects int `yaml:"sweep_objects" doc:"number of objects that a pass checks in addition to those known to be dropped; each costs one or two requests"`
	// DeletesPerSecond bounds deletions.
	DeletesPerSecond int `yaml:"deletes_per_second" doc:"maximum number of objects deleted per second"`
	// UndeleteWindow is how long a deleted topic can be had back.
	UndeleteWindow time.Duration `yaml:"undelete_window" doc:"how long a deleted topic's data is kept"`
}

// DefaultConfig is what suits a cluster.
func DefaultConfig() Config {
	return Config{Grace: time.Hour, Interval: time.Minute, SweepObjects: 300, DeletesPerSecond: 200, UndeleteWindow: 24 * time.Hour}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	check := func(ok bool, field string, value any, allowed string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s: %v, allowed is %s", field, value, allowed)
	}
	return errors.Join(
		check(c.Grace >= 0, "grace", c.Grace, "0 or more"),
		check(c.Interval > 0, "interval", c.Interval, "more than 0"),
		check(c.SweepObjects >= 1 && c.SweepObjects <= 1<<20, "sweep_objects", c.SweepObjects, "1 to 1048576"),
		check(c.DeletesPerSecond >= 1 && c.DeletesPerSecond <= 1<<20, "deletes_per_second", c.DeletesPerSecond, "1 to 1048576"),
		check(c.UndeleteWindow >= 0, "undelete_window", c.UndeleteWindow, "0 or more"),
	)
}

// Deps is what a Collector works with.
type Deps struct {
	Store s3store.Store
	Pages manifest.Pages
	Meta  metadata.Store
	// Floor returns the number below which everything is settled that an incarnation
	// wrote, 0 if that isn't known here (ObjectIDs.Floor for one's own).
	Floor      func(id.Incarnation) uint64
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Collector deletes objects by proof, and what is left of deleted topics when they
// can't be had back any more. In doubt it keeps. One in a cluster is enough; more do
// no harm.
//
// An object may go if it is older than the grace time and, for each of its slices,
// no head or manifest names it and no one can commit it any more: either the head,
// read after the object was found, belongs to another incarnation than the one that
// wrote the object, or that one said, before the head was read, that it is done with
// the object. A slice below the log start counts as not named, unless it is the
// newest in a head, whose producers may be asked for. Where there is no head there
// must be the record of a deleted topic whose undelete window is over, so that the
// loss of etcd never looks like garbage. Manifest pages go by the same rule.
type Collector struct {
	saidHeld time.Time // when it was last said that garbage is held; Pass alone uses it

	cfg     Config
	deps    Deps
	metrics *metrics
	pace    *rate.Limiter
	sweep   sweep                        // Run's own
	damaged damaged                      // objects that are damaged
	doubted map[string]metadata.Revision // Run's own: what was said of keys that can't be decoded

	mu struct {
		sync.Mutex
		dropped map[schema.Object]struct{}
	}
}

// maxOffered bounds what is remembered as dropped; sweeping finds the rest.
const maxOffered = 1 << 16

// New makes a collector, which works while Run does. It panics on a
// config that Validate refuses.
func New(cfg Config, deps Deps) *Collector {
	if err := cfg.Validate(); err != nil {
		panic("garbage: config: " + err.Error())
	}
	c := &Collector{cfg: cfg, deps: deps,
		pace: rate.NewLimiter(rate.Limit(cfg.DeletesPerSecond), max(cfg.DeletesPerSecond, deleteAtOnce))}
	c.metrics = newMetrics(deps.Registerer, c)
	c.mu.dropped = map[schema.Object]struct{}{}
	c.doubted = map[string]metadata.Revision{}
	c.sweep.begin()
	return c
}

// Offer names objects that a partition doesn't need any more, so that they are
// looked at before sweeping comes by.
func (c *Collector) Offer(objects []schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range objects {
		if len(c.mu.dropped) < maxOffered {
			c.mu.dropped[o] = struct{}{}
		}
	}
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Interval)
	defer tick.Stop()
	for {
		if err := c.Pass(ctx); err != nil && ctx.Err() == nil {
			c.metrics.errors.Inc()
			c.deps.Log.Warn("garbage collection was interrupted; it goes on later", "err", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Pass collects once: topics whose time is over, objects that were dropped, and a
// stretch of the bucket. It must not run beside Run.
func (c *Collector) Pass(ctx context.Context) error {
	if held, err := c.held(ctx); err != nil || held {
		return err
	}
	pr, err := c.newProof(ctx)
	if err != nil {
		return err
	}
	if err := c.purge(ctx, pr); err != nil {
		return err
	}
	// What heads said before the purge is not used.
	if pr, err = c.newProof(ctx); err != nil {
		return err
	}
	if err := c.collectDropped(ctx, pr); err != nil {
		return err
	}
	return c.sweepOn(ctx, pr)
}

// held reports whether someone has to decide first what is garbage.
func (c *Collector) held(ctx context.Context) (bool, error) {
	kv, err := c.deps.Meta.Get(ctx, schema.KeyGarbageHeld)
	if errors.Is(err, metadata.ErrNotFound) {
		return false, nil
	}
	if err == nil && time.Since(c.saidHeld) >= time.Hour {
		c.saidHeld = time.Now()
		c.deps.Log.Warn("nothing is deleted from the bucket as garbage until the key garbage-held is deleted from etcd", "why", string(kv.Value))
	}
	return err == nil, err
}

// maxFailing is how many of the offered objects may fail in a pass; more are the
// store's fault, not theirs.
const maxFailing = 3

// collectDropped judges what was offered. What has to stay for another reason, or
// can't be judged, is left to sweeping.
func (c *Collector) collectDropped(ctx context.Context, pr *proof) error {
	c.mu.Lock()
	offered := c.mu.dropped
	c.mu.dropped = map[schema.Object]struct{}{}
	c.mu.Unlock()
	d := c.deletion()
	var later []schema.Object
	var failed []error
	for o := range offered {
		if len(failed) == maxFailing {
			later = append(later, o)
			continue
		}
		young, err := c.collectOne(ctx, pr, d, o)
		if err != nil {
			failed = append(failed, err)
		} else if young {
			later = append(later, o)
		}
	}
	c.Offer(later)
	if err := d.flush(ctx); err != nil {
		failed = append(failed, err)
	}
	if len(failed) >= maxFailing {
		return errors.Join(failed...)
	}
	for _, err := range failed {
		c.deps.Log.Warn("an object that was dropped is left to sweeping", "err", err)
	}
	return nil
}

// collectOne judges an object that was offered, unless it is young.
func (c *Collector) collectOne(ctx context.Context, pr *proof, d *deletion, o schema.Object) (young bool, err error) {
	found, err := c.deps.Store.Head(ctx, object.Key(o))
	switch {
	case errors.Is(err, s3store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case time.Since(found.Modified) < c.cfg.Grace:
		return true, nil
	}
	v, _, err := pr.object(ctx, o, found)
	if err != nil {
		return false, err
	}
	return false, d.add(ctx, found, v)
}
