package controller

import (
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
)

// quiet knows since when the cluster is at rest.
type quiet struct {
	since  time.Time // zero: it isn't
	live   []id.Incarnation
	skewed time.Time            // since when one agent has much more work; zero: none has
	unrest map[unrest]time.Time // since when there is some
	moves  map[wish]time.Time   // since when they are asked for

	takers []id.Incarnation // that can be given something
	level  bool             // they were levelled since one came, went, or was drained
}

// look takes note of a picture.
func (q *quiet) look(p *picture) {
	live, takers := incarnations(p.live), incarnations(p.agents)
	if !slices.Equal(takers, q.takers) {
		q.takers, q.level = takers, false
	}
	q.unrest = lasting(q.unrest, p.unrest())
	q.moves = lasting(q.moves, p.wishes())
	switch {
	case recent(q.unrest) > 0:
		q.since = time.Time{}
	case q.since.IsZero() || !slices.Equal(live, q.live):
		q.since = time.Now()
	}
	q.live = live
}

// wish is a move that is asked for.
type wish struct {
	at   id.Partition
	move cluster.Move
}

func (p *picture) wishes() (all []wish) {
	for at, m := range p.moves {
		all = append(all, wish{at, m})
	}
	return all
}

// lasting returns since when each thing is seen that is seen now.
func lasting[T comparable](before map[T]time.Time, now []T) map[T]time.Time {
	after := make(map[T]time.Time, len(now))
	for _, x := range now {
		since, known := before[x]
		if !known {
			since = time.Now()
		}
		after[x] = since
	}
	return after
}

// recent counts what doesn't last for long yet.
func recent[T comparable](since map[T]time.Time) (n int) {
	for _, at := range since {
		if time.Since(at) < unrestFor {
			n++
		}
	}
	return n
}

func incarnations(agents []cluster.Live) (list []id.Incarnation) {
	for _, a := range agents {
		list = append(list, a.Incarnation)
	}
	return list
}

// calm reports whether partitions may be moved for balance.
func (q *quiet) calm() bool { return !q.since.IsZero() && time.Since(q.since) >= settleFor }

// unrest is an incarnation that comes, leaves or dies, or whose partitions wait for an
// owner; 0 had none yet.
type unrest struct {
	what string
	who  id.Incarnation
}

// unrest lists what keeps the cluster from being at rest.
func (p *picture) unrest() (all []unrest) {
	live := map[id.Incarnation]bool{}
	for _, a := range p.live {
		live[a.Incarnation] = true
		switch {
		case a.Leaving:
			all = append(all, unrest{"leaves", a.Incarnation})
		case !p.unsealed[a.Incarnation]:
			all = append(all, unrest{"comes", a.Incarnation})
		}
	}
	for i := range p.unsealed {
		if !live[i] {
			all = append(all, unrest{"dies", i})
		}
	}
	owned := true // whatever has an owner has a live one
	for o := range p.owned.Owners {
		owned = owned && live[o.Incarnation]
	}
	for _, t := range p.topics {
		if owned && p.allOwned(t.ID, t.Partitions) {
			continue // there may be many
		}
		for i := range t.Partitions {
			if o := p.owners[id.Partition{Topic: t.ID, Index: i}].Incarnation; !live[o] {
				all = append(all, unrest{"had some", o})
			}
		}
	}
	return all
}
