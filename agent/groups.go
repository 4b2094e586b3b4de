package agent

import (
	"context"
	"time"

	"varve/coordinator"
	"varve/group"
	"varve/internal/id"
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
	for n := range coordinator.Slots {
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

// forgetEvery is how often offsets of deleted topics are looked for, if any was deleted.
// Nobody is shown them any more, so there is no hurry.
const forgetEvery = time.Minute

// forgetOffsets lets the groups of this agent forget what they committed for topics that
// were deleted.
func (a *Agent) forgetOffsets(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	told := map[id.Topic]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			told = a.forgetDeleted(ctx, told)
		}
	}
}

// forgetDeleted does it if there are deleted topics that weren't told yet, and says what
// was told by now.
func (a *Agent) forgetDeleted(ctx context.Context, told map[id.Topic]string) map[id.Topic]string {
	gone, news := map[id.Topic]string{}, false
	for t, d := range a.view.Deleted() {
		gone[t] = d.Name
		_, known := told[t]
		news = news || !known
	}
	if !news {
		return told
	}
	if err := a.groups.TopicsDeleted(ctx, gone); err != nil {
		if ctx.Err() == nil {
			a.log.Warn("offsets of deleted topics not removed, retrying", "err", err)
		}
		return told
	}
	return gone
}
