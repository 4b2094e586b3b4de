// Package owner keeps the partitions that this agent serves: those that the ownerships in etcd
// name it the owner of, and no others. It opens them, adopting what their former owners left
// in journals, loses those that went to others, moves those that are to go, and retires
// those whose topics were deleted.
//
// What is to be done follows from one look at the cluster and the time (reconcile), without
// asking anybody; Run does it.
//
// It promises that a partition is served only when all of it is known that was acknowledged,
// that what a former owner acknowledged is never passed over unless an operator gave it up,
// and that reading what others left holds up nothing else. No agent is trusted for ownership:
// what a former owner still tries is refused by etcd.
package owner

import (
	"context"
	"log/slog"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
	"varve/wal/replica"
)

// Deps is what an Owner and a Mover use.
type Deps struct {
	Self        id.Broker
	Incarnation id.Incarnation
	Store       id.Store // of this agent
	Set         *Set
	Unserved    *Unserved
	Partition   *partition.Deps // of each partition
	View        *cluster.View
	Meta        metadata.Store
	Heads       *metadata.Writer
	Seen        *metadata.Seen
	Tails       *replica.Tails
	// Mine returns the journal that this agent writes.
	Mine func() id.Journal
	// Flush uploads all that is committed of these partitions.
	Flush func(context.Context, ...id.Partition) error
	// EtcdAnswers reports whether etcd can be asked.
	EtcdAnswers func(context.Context) bool
	// Opening is called at each look with whether a partition is to be opened.
	Opening func(closed bool, now time.Time)
	// Leaving reports whether this agent was told to stop.
	Leaving func() bool
	// Go starts a goroutine that the agent waits for.
	Go func(func())
	// Fatal ends this agent.
	Fatal func(error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Owner opens, loses and retires partitions.
type Owner struct {
	deps    Deps
	reading *reading

	memory    memory // Run's, as all that follows
	adoptions adoptions
}

// New makes an Owner. It owns nothing before Run.
func New(deps Deps) *Owner {
	return &Owner{deps: deps, reading: newReading(), memory: memory{map[id.Partition]*try{}}, adoptions: adoptions{map[id.Journal]uint64{}}}
}

// Run does what the view of the cluster asks of this agent, at every change, and again after a
// second as long as something is left to do, until ctx ends.
func (o *Owner) Run(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed, again := o.deps.View.Changed(), retry.C
		if !o.pass(ctx) {
			again = nil
		}
		select {
		case <-changed:
		case <-again:
		case <-o.reading.ready:
		case <-ctx.Done():
			return
		}
	}
}

// pass looks once, and does what follows from it. It reports whether something is left to do.
func (o *Owner) pass(ctx context.Context) bool {
	s := o.look()
	o.deps.Tails.Keep(func(j id.Journal) bool { _, ok := s.journals[j]; return ok })
	o.heedLosses(s.journals)
	now := o.deps.Now()
	a := o.memory.reconcile(s, now)
	for _, p := range a.lose {
		o.deps.Set.Lose(p)
	}
	for _, c := range a.configure {
		c.p.Configure(c.settings)
	}
	o.deps.Opening(a.closed, now)
	for _, p := range a.forget {
		o.deps.Unserved.forget(p)
	}
	if !s.leaving {
		o.serveAll(ctx, o.adopted(s.journals))
		o.open(ctx, o.candidates(ctx, a.open, s.journals), s.live)
	}
	o.retireDeleted(ctx)
	return a.closed || len(s.unserved) > 0 || len(a.lose) > 0
}
