package garbage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/s3store"
	"varve/tiering/object"
)

// sweep is where the collector is in the bucket. A cycle goes over all of it.
type sweep struct {
	prefix string
	after  string            // the last key that was looked at
	began  map[id.Topic]bool // topics without heads when the cycle began
	seen   map[id.Topic]bool // topics of which something stays
	// doubtful: something couldn't be judged or deleted in this cycle, so that no topic
	// is known to be gone.
	doubtful bool

	failing string // the object at which passes end, if they do
	times   int    // how many did
}

func (s *sweep) begin() { *s = sweep{prefix: object.PrefixData, seen: map[id.Topic]bool{}} }

// sweepOn looks at the next objects of the bucket.
func (c *Collector) sweepOn(ctx context.Context, pr *proof) error {
	if c.sweep.began == nil {
		began, err := c.headless(ctx, pr)
		if err != nil {
			return err
		}
		c.sweep.began = began
	}
	left := c.cfg.SweepObjects
	for left > 0 {
		batch, more, err := c.next(ctx, min(left, 100))
		if err != nil {
			return err
		}
		// A head that was read before an object was written may be its former owner's,
		// and can't know of it, however old the object has become since.
		clear(pr.heads)
		d := c.deletion()
		for _, found := range batch {
			v, err := c.look(ctx, pr, found)
			if err != nil && c.passOver(ctx, found, err) {
				v, err = keepDoubt, nil
			}
			if err == nil {
				err = d.add(ctx, found, v)
			}
			if err != nil {
				c.sweep.doubtful = c.sweep.doubtful || d.flush(ctx) != nil
				return err
			}
			c.sweep.after = found.Key
			left--
		}
		if err := d.flush(ctx); err != nil {
			c.sweep.doubtful = true // the next pass goes on after what was to go
			return err
		}
		if more {
			continue
		}
		if c.sweep.prefix == object.PrefixData {
			c.sweep.prefix, c.sweep.after = object.PrefixPages, ""
			continue
		}
		err = c.endCycle(ctx, pr)
		c.sweep.begin()
		c.metrics.cycles.Inc()
		return err
	}
	return nil
}

// passesAtOne is how many passes one object may end.
const passesAtOne = 3

// passOver reports whether the sweep goes on after an object that can't be judged: at once
// if the store refuses this very object, else when it has ended passes enough. What
// ails the whole bucket ends the pass at the next listing.
func (c *Collector) passOver(ctx context.Context, found s3store.Object, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	s := &c.sweep
	if s.failing != found.Key {
		s.failing, s.times = found.Key, 0
	}
	s.times++
	if !refused(err) && s.times < passesAtOne {
		return false
	}
	s.doubtful = true
	c.metrics.passed.Inc()
	c.noteDamage(found.Key, "an object can't be judged; as long as there is one, records of deleted topics stay too", err)
	return true
}

// refused reports whether an error is about one object, so that waiting doesn't help.
func refused(err error) bool {
	return errors.Is(err, s3store.ErrDenied) || errors.Is(err, s3store.ErrInvalid)
}

func (c *Collector) next(ctx context.Context, limit int) (batch []s3store.Object, more bool, err error) {
	err = c.deps.Store.List(ctx, c.sweep.prefix, c.sweep.after, func(o s3store.Object) bool {
		if len(batch) == limit {
			more = true
			return false
		}
		batch = append(batch, o)
		return true
	})
	if err != nil {
		return nil, false, fmt.Errorf("list %s: %w", c.sweep.prefix, err)
	}
	return batch, more, nil
}

// look judges one object and notes the topics of which something stays.
func (c *Collector) look(ctx context.Context, pr *proof, found s3store.Object) (verdict, error) {
	o, isPage, ok := object.ParseKey(found.Key)
	if !ok {
		return keepForeign, nil
	}
	young := time.Since(found.Modified) < c.cfg.Grace
	if isPage {
		v, g, err := pr.page(ctx, o, found)
		if g != nil && (young || v != remove) {
			c.sweep.seen[g.Partition.Topic] = true
		}
		return younger(young, v), err
	}
	v, f, err := pr.object(ctx, o, found)
	if f != nil && (young || v != remove) {
		for i := range f.Slices {
			c.sweep.seen[f.Slices[i].Partition.Topic] = true
		}
	}
	return younger(young, v), err
}

func younger(young bool, v verdict) verdict {
	if young {
		return keepYoung
	}
	return v
}

// deletion gathers keys to delete them many at a time.
type deletion struct {
	c     *Collector
	keys  []string
	bytes int64
}

// deleteAtOnce is how many keys one request deletes.
const deleteAtOnce = 1000

func (c *Collector) deletion() *deletion { return &deletion{c: c} }

// add notes a verdict, and the object if it is to go.
func (d *deletion) add(ctx context.Context, found s3store.Object, v verdict) error {
	d.c.metrics.looked.WithLabelValues(verdictNames[v]).Inc()
	if v != remove {
		return nil
	}
	d.keys = append(d.keys, found.Key)
	d.bytes += found.Size
	if len(d.keys) == deleteAtOnce {
		return d.flush(ctx)
	}
	return nil
}

func (d *deletion) flush(ctx context.Context) error {
	if len(d.keys) == 0 {
		return nil
	}
	if err := d.c.pace.WaitN(ctx, len(d.keys)); err != nil {
		return err
	}
	if err := d.c.deps.Store.Delete(ctx, d.keys); err != nil {
		return fmt.Errorf("delete %d objects: %w", len(d.keys), err)
	}
	d.c.deps.Log.Info("objects deleted that nothing leads to", "objects", len(d.keys), "bytes", d.bytes, "first", d.keys[0])
	d.c.metrics.deleted.Add(float64(len(d.keys)))
	d.c.metrics.freed.Add(float64(d.bytes))
	d.keys, d.bytes = nil, 0
	return nil
}
