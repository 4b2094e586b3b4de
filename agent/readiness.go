package agent

import (
	"sync/atomic"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/owner"
)

// readiness is how far this agent is with opening what it owns.
type readiness struct {
	view   *cluster.View
	owned  *owner.Set
	self   id.Broker
	inc    id.Incarnation
	millis func() int64 // the time in ms since 1970

	// settled: the partitions of this agent's former self have found a leader, or took too
	// long for a start to be about them.
	settled atomic.Bool
	// opening is since when partitions that this agent owns are closed, in ms since 1970; 0:
	// none is.
	opening atomic.Int64
	began   atomic.Int64 // when the agent began to serve, in ms since 1970
}

const (
	// settleFor is how long a start waits for the partitions of its former self.
	settleFor = 15 * time.Second
	// openFor is how long a partition that comes to an agent which serves may take to be
	// opened before the agent counts as not ready for it.
	openFor = 2 * time.Second
)

// begin notes that the agent serves from now on.
func (r *readiness) begin() {
	r.began.Store(r.millis())
	r.unopened()
}

// noteOpening is called at each look at the cluster whether something is to be opened.
func (r *readiness) noteOpening(closed bool, now time.Time) {
	if !closed {
		r.opening.Store(0)
	} else {
		r.opening.CompareAndSwap(0, now.UnixMilli())
	}
	if r.began.Load() != 0 && !r.settled.Load() {
		r.unopened()
	}
}

// closed counts the partitions that this agent owns and doesn't serve, for however short a time.
func (r *readiness) closed() (n int) {
	for p, o := range r.view.OwnedBy(r.self) {
		if _, exists := r.view.TopicByID(p.Topic); exists && o.Incarnation == r.inc && r.owned.Get(p) == nil {
			n++
		}
	}
	return n
}

// unopened counts the partitions that this agent owns and doesn't serve, and, after a
// start, those that its former self owned and no agent has yet.
func (r *readiness) unopened() (opening, recovering int) {
	starts := !r.settled.Load()
	for p, o := range r.view.OwnedBy(r.self) {
		if _, exists := r.view.TopicByID(p.Topic); !exists {
			continue
		}
		switch {
		case o.Incarnation == r.inc && r.owned.Get(p) == nil:
			opening++
		case o.Incarnation != r.inc && starts:
			recovering++
		}
	}
	late := r.millis()-r.began.Load() > settleFor.Milliseconds()
	if recovering == 0 && opening == 0 || late {
		r.settled.Store(true)
		recovering = 0
	}
	if since := r.opening.Load(); !starts && (since == 0 || r.millis()-since < openFor.Milliseconds()) {
		opening = 0
	}
	return opening, recovering
}
