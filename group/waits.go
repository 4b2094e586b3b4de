package group

import (
	"maps"
	"slices"
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/deadline"
)

// waits are the requests that wait for values to be durable.
type waits struct {
	byID     map[offsets.Waiter]*wait
	last     offsets.Waiter
	patience deadline.Heap[offsets.Waiter]
}

// wait is a request that waits for one or more values. Its done is called once: with nil, or
// with what the group is resigned with, or with coordinator.ErrAway when its patience ends; then the
// values may yet be stored.
type wait struct {
	left    int
	patient bool // it waits for as long as the store is away
	done    func(error)
}

// add makes a wait for as many values as parts, until a time, or for as long as it takes if
// that is zero.
func (w *waits) add(parts int, until time.Time, done func(error)) offsets.Waiter {
	w.last++
	if w.byID == nil {
		w.byID = map[offsets.Waiter]*wait{}
	}
	w.byID[w.last] = &wait{left: parts, patient: until.IsZero(), done: done}
	if !until.IsZero() {
		w.patience.Set(w.last, until)
	}
	return w.last
}

// next returns when the first of them has no patience left.
func (w *waits) next() time.Time { return w.patience.Next() }

// over ends one wait that has no patience left.
func (w *waits) over(now time.Time) {
	if id, due := w.patience.Pop(now); due {
		w.end(id, coordinator.ErrAway)
	}
}

// durable notes that one more value of each of these waiters is durable.
func (w *waits) durable(ids []offsets.Waiter) {
	slices.Sort(ids)
	for _, id := range ids {
		w.end(id, nil)
	}
}

// end counts one value of a wait, or ends the wait with an error.
func (w *waits) end(id offsets.Waiter, err error) {
	o := w.byID[id]
	if o == nil {
		return
	}
	if o.left--; err == nil && o.left > 0 {
		return
	}
	delete(w.byID, id)
	w.patience.Cancel(id)
	o.done(err)
}

// fail ends all waits; coordinator.ErrAway ends those that have no patience.
func (w *waits) fail(err error) {
	for _, id := range slices.Sorted(maps.Keys(w.byID)) {
		if o := w.byID[id]; o != nil && !(o.patient && err == coordinator.ErrAway) {
			w.end(id, err)
		}
	}
}
