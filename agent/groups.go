package agent

import (
	"context"

	"varve/group"
)

// openGroups makes the coordinator; it owns nothing yet.
func (a *Agent) openGroups() {
	a.groups = group.Open(a.cfg.Groups, a.deps.Meta, a.heads, a.random.Split(), a.log.With("part", "groups"), a.deps.Registry)
}

// holdSlots takes all coordinator slots when this agent is the one that
// coordinates, the live agent with the lowest id, and lets them go otherwise.
// Two that believe so at once do no harm: every write is guarded.
func (a *Agent) holdSlots(ctx context.Context) {
	agents := a.view.Agents()
	if len(agents) == 0 {
		return // the leases ended while etcd was away: nobody took over
	}
	mine := len(agents) > 0 && agents[0].Incarnation == a.inc
	if mine == a.coordinates {
		return
	}
	a.coordinates = mine
	if mine {
		all := make([]int, group.Slots)
		for i := range all {
			all[i] = i
		}
		a.groups.OwnSlots(all...)
		return
	}
	for i := range group.Slots {
		a.groups.ReleaseSlot(ctx, i)
	}
}
