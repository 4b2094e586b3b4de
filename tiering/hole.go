package tiering

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"varve/internal/id"
)

// ErrHole: records that were acknowledged can't be read, as the object that holds them is
// gone or not what was written. It comes within a *HoleError.
var ErrHole = errors.New("records of the tier can't be read")

// HoleError reports which records of a partition can't be read, and why.
type HoleError struct {
	Partition id.Partition
	From, To  int64  // offsets; To is the one behind the last
	Key       string // of the object
	Err       error  // ErrGone, or a *CorruptError
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("offsets %d to %d of %v lie in object %s: %v", e.From, e.To, e.Partition, e.Key, e.Err)
}
func (e *HoleError) Unwrap() error        { return e.Err }
func (e *HoleError) Is(target error) bool { return target == ErrHole }

// Same reports whether two are about the same records.
func (e *HoleError) Same(o *HoleError) bool {
	return e != nil && o != nil && e.Partition == o.Partition && e.From == o.From && e.To == o.To && e.Key == o.Key
}

// unreadable reports whether the object itself is at fault, and not that the bucket
// doesn't answer, or that another release wrote it.
func unreadable(err error) bool {
	var corrupt *CorruptError
	return errors.Is(err, ErrGone) || errors.As(err, &corrupt) && !errors.Is(err, ErrVersion)
}

// hole wraps an error of an object that can't be read.
func hole(p id.Partition, from, to int64, key string, err error) error {
	var known *HoleError
	if !unreadable(err) || errors.As(err, &known) {
		return err
	}
	return &HoleError{p, from, to, key, err}
}

// Hole is a range that readers met, while it lasts.
type Hole struct {
	*HoleError
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
func (l *holes) at(p id.Partition, offset int64) *HoleError {
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
func (l *holes) note(e *HoleError, now time.Time) bool {
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

// drop forgets the holes that gone says are none any more, and gives them.
func (l *holes) drop(gone func(*HoleError) bool) (dropped []*HoleError) {
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

// HoleAt returns a known hole that holds an offset, if it was looked at within a second: who
// asks again and again costs the bucket no request each time.
func (r *Reader) HoleAt(p id.Partition, offset int64) *HoleError {
	e := r.holes.at(p, offset)
	if e != nil {
		r.metrics.refused.Inc()
	}
	return e
}

// FoundHole notes a hole that a second look has confirmed; it reports whether this is news.
func (r *Reader) FoundHole(e *HoleError, now time.Time) bool {
	r.metrics.refused.Inc()
	return r.holes.note(e, now)
}

// Recheck looks again at the known holes, and gives those that are none any more: the
// object is back, the range was skipped or deleted, or the partition is not read here.
// read reads a partition at an offset, by its present head.
func (r *Reader) Recheck(ctx context.Context, read func(ctx context.Context, p id.Partition, offset int64) error) []*HoleError {
	var over []*HoleError
	for _, h := range r.Holes() {
		err := read(ctx, h.Partition, h.From)
		var still *HoleError
		if ctx.Err() != nil {
			break
		}
		if err == nil || errors.As(err, &still) && !still.Same(h.HoleError) || errors.Is(err, ErrNotOwner) || errors.Is(err, ErrBelowStart) || errors.Is(err, ErrBeyondTier) {
			over = append(over, h.HoleError)
		}
	}
	return r.holes.drop(func(e *HoleError) bool { return slices.Contains(over, e) })
}
