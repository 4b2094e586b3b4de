package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// assignSlots gives every coordinator slot that no one serves, or whose agent leaves
// or is drained, to a live agent; and levels them when all is quiet.
func (c *Controller) assignSlots(ctx context.Context, p *picture) {
	if len(p.agents) == 0 {
		return
	}
	slots := c.deps.View.Slots()
	has := map[id.Broker][]int{}
	var free []int
	for n := range c.deps.Slots {
		o := slots[n]
		stays := slices.ContainsFunc(p.agents, func(a cluster.Live) bool { return a.Incarnation == o.Incarnation })
		if stays || o.Incarnation != 0 && !p.alive(o.Incarnation, o.Broker) && !c.dead(ctx, p, o.Incarnation, o.Broker) {
			has[o.Broker] = append(has[o.Broker], n)
			continue
		}
		free = append(free, n)
	}
	to := spread(p.agents, has, free, c.quiet.calm())
	if len(to) == 0 {
		return
	}
	c.background("slots", func() {
		var wg sync.WaitGroup
		for n, a := range to {
			wg.Go(func() {
				key := schema.SlotKey(n)
				role := schema.Role{Incarnation: a.Incarnation, Broker: a.Broker}
				_, err := c.deps.Writer.Write(ctx, []metadata.Guard{{Key: key, Mod: slots[n].Mod}}, metadata.Put(key, role.Encode()))
				if err != nil && ctx.Err() == nil && !errors.Is(err, metadata.ErrConflict) {
					c.log.Warn("coordinator slot assignment deferred", "slot", n, "err", err)
				}
			})
		}
		wg.Wait()
	})
}

// spread returns which agent gets which slot: the free ones go to those that have few,
// and if level is set, those that have many give some up.
func spread(agents []cluster.Live, has map[id.Broker][]int, free []int, level bool) map[int]cluster.Live {
	to := map[int]cluster.Live{}
	fewest := func() cluster.Live {
		return slices.MinFunc(agents, func(a, b cluster.Live) int {
			return cmp.Or(cmp.Compare(len(has[a.Broker]), len(has[b.Broker])), cmp.Compare(a.Broker, b.Broker))
		})
	}
	give := func(n int, a cluster.Live) {
		has[a.Broker] = append(has[a.Broker], n)
		to[n] = a
	}
	for _, n := range free {
		give(n, fewest())
	}
	most := func() cluster.Live {
		return slices.MaxFunc(agents, func(a, b cluster.Live) int {
			return cmp.Or(cmp.Compare(len(has[a.Broker]), len(has[b.Broker])), cmp.Compare(a.Broker, b.Broker))
		})
	}
	gap := func() int { return len(has[most().Broker]) - len(has[fewest().Broker]) }
	if !level || gap() <= max(countSlack, len(has[most().Broker])/4) {
		return to
	}
	for gap() > 1 {
		from := most()
		list := has[from.Broker]
		has[from.Broker] = list[:len(list)-1]
		give(list[len(list)-1], fewest())
	}
	return to
}
