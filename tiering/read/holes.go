package read

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"varve/internal/id"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Hole is a range that readers met, while it lasts.
type Hole struct {
	*object.HoleError
	Since time.Time
}

// holeStands is for how long a hole is believed in without another look.
const holeStands = time.Second

// maxHoles bounds what is remembered; reads of others are refused as well.
const maxHoles = 4096

type heldHole struct {
	Hole
	looked time.Time
}

// holes are the ranges that can't be read, as far as readers have met them.
type holes struct {
	mu    sync.Mutex
	known []heldHole
}

// at returns a hole that holds an offset, if one is known and was looked at just now.
func (l *holes) at(p id.Partition, offset int64) *object.HoleError {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.known {
		h := &l.known[i]
		if h.Partition == p && h.From <= offset && offset < h.To && time.Since(h.looked) < holeStands {
			return h.HoleError
		}
	}
	return nil
}

// note remembers a hole; it reports whether this is news.
func (l *holes) note(e *object.HoleError, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.known {
		if h := &l.known[i]; h.Same(e) {
			h.looked = time.Now()
			return false
		}
	}
	if len(l.known) < maxHoles {
		l.known = append(l.known, heldHole{Hole{e, now}, time.Now()})
	}
	return true
}

// drop forgets the holes for which gone reports that they are none any more, and returns them.
func (l *holes) drop(gone func(*object.HoleError) bool) (dropped []*object.HoleError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = slices.DeleteFunc(l.known, func(h heldHole) bool {
		if !gone(h.HoleError) {
			return false
		}
		dropped = append(dropped, h.HoleError)
		return true
	})
	return dropped
}

func (l *holes) list() (all []Hole) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.known {
		all = append(all, l.known[i].Hole)
	}
	return all
}

// Holes lists the ranges that readers met and that can't be read, in order.
func (r *Reader) Holes() []Hole {
	all := r.holes.list()
	slices.SortFunc(all, func(x, y Hole) int {
		return cmp.Or(slices.Compare(x.Partition.Topic[:], y.Partition.Topic[:]), cmp.Compare(x.Partition.Index, y.Partition.Index), cmp.Compare(x.From, y.From))
	})
	return all
}

// HoleAt returns a known hole that holds an offset, if it was looked at within a second: a reader that
// asks again and again costs the bucket no request each time.
func (r *Reader) HoleAt(p id.Partition, offset int64) *object.HoleError {
	e := r.holes.at(p, offset)
	if e != nil {
		r.metrics.refused.Inc()
	}
	return e
}

// FoundHole notes a hole that a second look has confirmed; it reports whether this is news.
func (r *Reader) FoundHole(e *object.HoleError, now time.Time) bool {
	r.metrics.refused.Inc()
	return r.holes.note(e, now)
}

// Recheck looks again at the known holes, and returns those that are none any more: the
// object is back, the range was skipped or deleted, or the partition is not read here.
// read reads a partition at an offset, by its present head.
func (r *Reader) Recheck(ctx context.Context, read func(ctx context.Context, p id.Partition, offset int64) error) []*object.HoleError {
	var over []*object.HoleError
	for _, h := range r.Holes() {
		err := read(ctx, h.Partition, h.From)
		var still *object.HoleError
		if ctx.Err() != nil {
			break
		}
		if err == nil || errors.As(err, &still) && !still.Same(h.HoleError) || errors.Is(err, manifest.ErrNotOwner) || errors.Is(err, ErrBelowStart) || errors.Is(err, ErrBeyondTier) {
			over = append(over, h.HoleError)
		}
	}
	return r.holes.drop(func(e *object.HoleError) bool { return slices.Contains(over, e) })
}
