package agent

import (
	"context"

	"varve/group"
	"varve/metadata"
)

// openGroups makes the coordinator; it owns nothing yet.
func (a *Agent) openGroups() {
	a.groups = group.Open(a.cfg.Groups, a.deps.Meta, a.heads, a.view, a.random.Split(), a.log.With("part", "groups"), a.deps.Registry)
}

// holdSlots serves the coordinator slots that the controller gave to this agent, and
// no others. Their keys' revisions guard all that it stores of groups.
func (a *Agent) holdSlots(ctx context.Context) {
	owners := a.view.Slots()
	take := map[int]metadata.Guard{}
	for n := range group.Slots {
		o := owners[n]
		mine := metadata.Guard{}
		if o.Incarnation == a.inc {
			mine = metadata.Guard{Key: metadata.SlotKey(n), Mod: o.Mod}
		}
		if a.slots[n] == mine {
			continue
		}
		if a.slots[n].Key != "" && o.Incarnation != 0 {
			a.groups.ReleaseSlot(ctx, n)
		} else if a.slots[n].Key != "" {
			continue // the picture is incomplete: nobody took it
		}
		if a.slots[n] = mine; mine.Key != "" {
			take[n] = mine
		}
	}
	if len(take) > 0 {
		a.groups.OwnSlots(take)
	}
}
