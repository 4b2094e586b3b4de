package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

// What the balancer waits for and allows.
const (
	// settleFor is how long no one must have come, gone, or been on the way to, before
	// anything is moved for balance.
	settleFor = 2 * time.Second
	// unrestFor is for how long an unrest, or a move that isn't made, holds up others:
	// what lasts longer waits for an operator, who may want to move things.
	unrestFor = time.Minute
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
// each change of the agents that take some, so that where an operator puts partitions they stay;
// of work when that lasts. Drained agents give everything away, for which nothing needs
// to be at rest.
func (c *Controller) balance(ctx context.Context, p *picture) {
	if len(p.agents) == 0 {
		c.quiet.skewed = time.Time{}
		return
	}
	loads := c.deps.View.Loads()
	under := recent(c.quiet.moves)
	var to map[id.Partition]id.Broker
	switch {
	case !c.quiet.calm():
		c.quiet.skewed = time.Time{}
		to = p.empty(loads, movesAtOnce-under)
	case !c.quiet.level:
		to = p.level(loads, countSlack, movesAtOnce-under)
	}
	if len(to) == 0 && under == 0 && c.quiet.calm() {
		c.quiet.level = true
		to = c.unskew(p, loads)
	}
	if len(to) == 0 {
		return
	}
	c.background("balance", func() {
		if err := c.deps.Editor.ChangeMoves(ctx, to); err != nil && ctx.Err() == nil {
			c.log.Warn("balancing deferred", "err", err)
			return
		}
		c.metrics.balanced.Add(float64(len(to)))
		c.log.Info("moving partitions to balance agents", "partitions", len(to))
	})
}

// work is what one figure makes of bytes and requests.
func work(w schema.Work) int64 { return w.Bytes + requestBytes*w.Requests }

// unskew plans to move busy partitions from the busiest agent to the idlest, once that
// has been so for a while.
func (c *Controller) unskew(p *picture, loads map[id.Broker]schema.Load) map[id.Partition]id.Broker {
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
func (p *picture) skew(loads map[id.Broker]schema.Load) (busiest, idlest id.Broker, skewed bool) {
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
func (p *picture) exchange(from schema.Load, busiest, idlest id.Broker, gap int64) map[id.Partition]id.Broker {
	to := map[id.Partition]id.Broker{}
	hot := slices.SortedFunc(slices.Values(from.Hot), func(a, b schema.Hot) int { return cmp.Compare(work(b.Work), work(a.Work)) })
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
