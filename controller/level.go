package controller

import (
	"cmp"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

// Level returns which partitions to move so that all agents that take something have
// equally many; what is under way counts as done.
func Level(v *cluster.View) map[id.Partition]id.Broker {
	p := pictureOf(v)
	return p.level(v.Loads(), 1, len(p.owners))
}

// shares lists, for each agent, the partitions that it will have when all moves are
// made: those that should go first are last. What no one serves can't be moved.
func (p *picture) shares(loads map[id.Broker]schema.Load) map[id.Broker][]id.Partition {
	hot := map[id.Partition]bool{}
	for _, l := range loads {
		for _, h := range l.Hot {
			hot[h.Partition] = true
		}
	}
	live := map[id.Incarnation]bool{}
	for _, a := range p.live {
		live[a.Incarnation] = true
	}
	has := map[id.Broker][]id.Partition{}
	for _, t := range p.topics {
		for i := range t.Partitions {
			at := id.Partition{Topic: t.ID, Index: i}
			o := p.owners[at]
			if !live[o.Incarnation] {
				continue
			}
			b := o.Broker
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

// plan is which partitions are to be moved, at most so many.
type plan struct {
	agents []cluster.Live               // that take something
	has    map[id.Broker][]id.Partition // as it will be
	to     map[id.Partition]id.Broker
	limit  int
}

func (p *picture) plan(loads map[id.Broker]schema.Load, limit int) *plan {
	return &plan{p.agents, p.shares(loads), map[id.Partition]id.Broker{}, limit}
}

func (n *plan) byFill(a, b cluster.Live) int {
	return cmp.Or(cmp.Compare(len(n.has[a.Broker]), len(n.has[b.Broker])), cmp.Compare(a.Broker, b.Broker))
}

// give lets an agent give a partition to the emptiest.
func (n *plan) give(from id.Broker) {
	list := n.has[from]
	at := list[len(list)-1]
	n.has[from] = list[:len(list)-1]
	heir := slices.MinFunc(n.agents, n.byFill).Broker
	n.has[heir] = append([]id.Partition{at}, n.has[heir]...) // it isn't the next to go
	n.to[at] = heir
}

// empty lets an agent give everything away, if it takes nothing.
func (n *plan) empty(b id.Broker) {
	takes := slices.ContainsFunc(n.agents, func(a cluster.Live) bool { return a.Broker == b })
	for !takes && len(n.to) < n.limit && len(n.has[b]) > 0 {
		n.give(b)
	}
}

// empty plans at most limit moves away from drained agents.
func (p *picture) empty(loads map[id.Broker]schema.Load, limit int) map[id.Partition]id.Broker {
	if len(p.drained) == 0 {
		return nil
	}
	n := p.plan(loads, limit)
	for _, a := range p.live {
		if p.drained[a.Broker] {
			n.empty(a.Broker)
		}
	}
	return n.to
}

// level plans at most limit moves: away from agents that take nothing, then from the
// fullest to the emptiest, if one has more than slack, and more than a quarter of it,
// above another; a slack of 1 always levels.
func (p *picture) level(loads map[id.Broker]schema.Load, slack, limit int) map[id.Partition]id.Broker {
	if len(p.agents) == 0 {
		return nil
	}
	n := p.plan(loads, limit)
	for _, a := range p.live {
		n.empty(a.Broker)
	}
	full := func() id.Broker { return slices.MaxFunc(n.agents, n.byFill).Broker }
	gap := func() int { return len(n.has[full()]) - len(n.has[slices.MinFunc(n.agents, n.byFill).Broker]) }
	allowed := max(slack, len(n.has[full()])/4)
	if slack == 1 {
		allowed = 1
	}
	if gap() <= allowed {
		return n.to
	}
	for gap() > 1 && len(n.to) < limit {
		n.give(full())
	}
	return n.to
}
