package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
)

// What the balancer waits for and allows.
const (
	// settleFor is how long nobody must have come, gone, or been on the way to, before
	// anything is moved for balance.
	settleFor = 2 * time.Second
	// movesAtOnce bounds how many moves are under way that the balancer asked for.
	movesAtOnce = 256
	// countSlack is how many more partitions, or slots, than another an agent may have
	// at least; above that a quarter of what the fullest has.
	countSlack = 2
	// skewFor is how long one agent must have had much more work than another.
	skewFor = 15 * time.Second
	// skewRatio is how much more than the mean an agent must have to do, skewFloor how
	// much more than the idlest.
	skewRatio = 1.3
	skewFloor = 4 << 20
	// hotAtOnce is how many partitions are moved at a time for their work.
	hotAtOnce = 16
	// requestBytes is what a request costs beside its bytes.
	requestBytes = 4 << 10
)

// quiet knows since when the cluster is at rest.
type quiet struct {
	since  time.Time // zero: it isn't
	live   []id.Incarnation
	skewed time.Time // since when one agent has much more work; zero: none has

	takers []id.Incarnation // that can be given something
	level  bool             // they were levelled since one came, went, or was drained
}

// look takes note of a picture.
func (q *quiet) look(p *picture) {
	live, takers := incarnations(p.live), incarnations(p.agents)
	if !slices.Equal(takers, q.takers) {
		q.takers, q.level = takers, false
	}
	switch {
	case p.restless():
		q.since = time.Time{}
	case q.since.IsZero() || !slices.Equal(live, q.live):
		q.since = time.Now()
	}
	q.live = live
}

func incarnations(agents []cluster.Live) (list []id.Incarnation) {
	for _, a := range agents {
		list = append(list, a.Incarnation)
	}
	return list
}

// calm says whether partitions may be moved for balance.
func (q *quiet) calm() bool { return !q.since.IsZero() && time.Since(q.since) >= settleFor }

// restless says whether an agent is dying, leaving or coming, or a partition waits
// for an owner.
func (p *picture) restless() bool {
	live := map[id.Incarnation]bool{}
	for _, a := range p.live {
		live[a.Incarnation] = true
		if a.Leaving || !p.unsealed[a.Incarnation] {
			return true
		}
	}
	for i := range p.unsealed {
		if !live[i] {
			return true
		}
	}
	for _, t := range p.topics {
		for i := range t.Partitions {
			if !live[p.owners[id.Partition{Topic: t.ID, Index: i}].Incarnation] {
				return true
			}
		}
	}
	return false
}

// counts is how many partitions each live agent has.
func (p *picture) counts() map[id.Broker]int {
	n := map[id.Broker]int{}
	for _, o := range p.owners {
		if p.alive(o.Incarnation, o.Broker) {
			n[o.Broker]++
		}
	}
	return n
}

// balance asks for moves when agents have very unequal shares: of partitions once after
// each change of who takes some, so that where an operator puts partitions they stay;
// of work when that lasts. Drained agents give everything away.
func (c *Controller) balance(ctx context.Context, p *picture) {
	if !c.quiet.calm() || len(p.agents) == 0 {
		c.quiet.skewed = time.Time{}
		return
	}
	loads := c.deps.View.Loads()
	var to map[id.Partition]id.Broker
	if !c.quiet.level {
		to = p.level(loads, countSlack, movesAtOnce-len(p.moves))
	}
	if len(to) == 0 && len(p.moves) == 0 {
		c.quiet.level = true
		to = c.unskew(p, loads)
	}
	if len(to) == 0 {
		return
	}
	c.background("balance", func() {
		if err := c.deps.View.ChangeMoves(ctx, to); err != nil && ctx.Err() == nil {
			c.log.Warn("partitions are balanced later", "err", err)
			return
		}
		c.metrics.balanced.Add(float64(len(to)))
		c.log.Info("partitions are moved for balance", "partitions", len(to))
	})
}

// Level says which partitions to move so that all agents that take something have
// equally many; what is under way counts as done.
func Level(v *cluster.View) map[id.Partition]id.Broker {
	p := pictureOf(v)
	return p.level(v.Loads(), 1, len(p.owners))
}

// shares lists, for each agent, the partitions that it will have when all moves are
// made: those that should go first are last.
func (p *picture) shares(loads map[id.Broker]metadata.Load) map[id.Broker][]id.Partition {
	hot := map[id.Partition]bool{}
	for _, l := range loads {
		for _, h := range l.Hot {
			hot[h.Partition] = true
		}
	}
	has := map[id.Broker][]id.Partition{}
	for _, t := range p.topics {
		for i := range t.Partitions {
			at := id.Partition{Topic: t.ID, Index: i}
			b := p.owners[at].Broker
			if m, ok := p.moves[at]; ok {
				b = m.To
			}
			has[b] = append(has[b], at)
		}
	}
	number := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	for _, list := range has {
		slices.SortFunc(list, func(a, b id.Partition) int {
			return cmp.Or(cmp.Compare(number(hot[a]), number(hot[b])), cmp.Compare(a.Index, b.Index), slices.Compare(a.Topic[:], b.Topic[:]))
		})
	}
	return has
}

// level plans at most limit moves: away from agents that take nothing, then from the
// fullest to the emptiest, if one has more than slack, and more than a quarter of it,
// above another; a slack of 1 always levels.
func (p *picture) level(loads map[id.Broker]metadata.Load, slack, limit int) map[id.Partition]id.Broker {
	if len(p.agents) == 0 {
		return nil
	}
	has := p.shares(loads)
	to := map[id.Partition]id.Broker{}
	byFill := func(a, b cluster.Live) int {
		return cmp.Or(cmp.Compare(len(has[a.Broker]), len(has[b.Broker])), cmp.Compare(a.Broker, b.Broker))
	}
	give := func(from id.Broker) {
		list := has[from]
		at := list[len(list)-1]
		has[from] = list[:len(list)-1]
		heir := slices.MinFunc(p.agents, byFill).Broker
		has[heir] = append([]id.Partition{at}, has[heir]...) // it isn't the next to go
		to[at] = heir
	}
	for _, a := range p.live {
		takes := slices.ContainsFunc(p.agents, func(b cluster.Live) bool { return b.Broker == a.Broker })
		for !takes && len(to) < limit && len(has[a.Broker]) > 0 {
			give(a.Broker)
		}
	}
	full := func() id.Broker { return slices.MaxFunc(p.agents, byFill).Broker }
	gap := func() int { return len(has[full()]) - len(has[slices.MinFunc(p.agents, byFill).Broker]) }
	allowed := max(slack, len(has[full()])/4)
	if slack == 1 {
		allowed = 1
	}
	if gap() <= allowed {
		return to
	}
	for gap() > 1 && len(to) < limit {
		give(full())
	}
	return to
}

// work is what one figure makes of bytes and requests.
func work(w metadata.Work) int64 { return w.Bytes + requestBytes*w.Requests }

// unskew plans to move busy partitions from the busiest agent to the idlest, once that
// has been so for a while.
func (c *Controller) unskew(p *picture, loads map[id.Broker]metadata.Load) map[id.Partition]id.Broker {
	busiest, idlest, skewed := p.skew(loads)
	switch {
	case !skewed:
		c.quiet.skewed = time.Time{}
		return nil
	case c.quiet.skewed.IsZero():
		c.quiet.skewed = time.Now()
		return nil
	case time.Since(c.quiet.skewed) < skewFor:
		return nil
	}
	c.quiet.skewed = time.Time{} // what is seen next has to show the effect first
	return p.exchange(loads[busiest], busiest, idlest, work(loads[busiest].Total)-work(loads[idlest].Total))
}

// skew finds the busiest and the idlest agent, and whether they differ by much.
func (p *picture) skew(loads map[id.Broker]metadata.Load) (busiest, idlest id.Broker, skewed bool) {
	var sum int64
	for _, a := range p.agents {
		l, known := loads[a.Broker]
		if !known || l.Incarnation != a.Incarnation {
			return 0, 0, false
		}
		sum += work(l.Total)
	}
	byWork := func(a, b cluster.Live) int {
		return cmp.Or(cmp.Compare(work(loads[a.Broker].Total), work(loads[b.Broker].Total)), cmp.Compare(a.Broker, b.Broker))
	}
	busiest, idlest = slices.MaxFunc(p.agents, byWork).Broker, slices.MinFunc(p.agents, byWork).Broker
	most, least := work(loads[busiest].Total), work(loads[idlest].Total)
	mean := float64(sum) / float64(len(p.agents))
	return busiest, idlest, float64(most) > skewRatio*mean && most-least > skewFloor
}

// exchange chooses partitions whose work together comes near half of the gap, largest
// first. One that would only turn the gap around stays.
func (p *picture) exchange(from metadata.Load, busiest, idlest id.Broker, gap int64) map[id.Partition]id.Broker {
	to := map[id.Partition]id.Broker{}
	hot := slices.SortedFunc(slices.Values(from.Hot), func(a, b metadata.Hot) int { return cmp.Compare(work(b.Work), work(a.Work)) })
	for _, h := range hot {
		w := work(h.Work)
		o := p.owners[h.Partition]
		if w <= 0 || w > gap*9/10 || len(to) == hotAtOnce || o.Broker != busiest {
			continue
		}
		to[h.Partition] = idlest
		if gap -= 2 * w; gap <= 0 {
			break
		}
	}
	return to
}
