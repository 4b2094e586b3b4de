package agent

import (
	"context"
	"log/slog"
	"time"

	"varve/cluster"
	"varve/coordinator"
	"varve/group"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// slots are the coordinator slots that the controller assigned to this agent.
type slots struct {
	groups *group.Groups
	view   *cluster.View
	inc    id.Incarnation
	log    *slog.Logger

	held [coordinator.Slots]metadata.Guard // only run's goroutine uses them
}

// run holds the slots that are this agent's, until ctx ends.
func (s *slots) run(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed := s.view.Changed()
		s.hold(ctx)
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}

// free reports whether a coordinator slot has no agent: its consumer groups wait.
func (s *slots) free() bool {
	owners := s.view.Slots()
	for n := range coordinator.Slots {
		if o := owners[n]; !s.view.Alive(o.Incarnation, o.Broker) {
			return true
		}
	}
	return false
}

// await returns when no slot is this agent's any more, or no other agent can take them: all
// are stopping.
func (s *slots) await(ctx context.Context, others func() bool) {
	for {
		changed := s.view.Changed()
		if !others() {
			return
		}
		mine := false
		for _, o := range s.view.Slots() {
			mine = mine || o.Incarnation == s.inc
		}
		if !mine {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// hold serves the coordinator slots that the controller assigned to this agent, and
// no others. Their keys' revisions guard all that it stores of groups.
func (s *slots) hold(ctx context.Context) {
	owners := s.view.Slots()
	take := map[int]metadata.Guard{}
	for n := range coordinator.Slots {
		o := owners[n]
		mine := metadata.Guard{}
		if o.Incarnation == s.inc {
			mine = metadata.Guard{Key: schema.SlotKey(n), Mod: o.Mod}
		}
		if s.held[n] == mine {
			continue
		}
		if s.held[n].Key != "" && o.Incarnation != 0 {
			s.groups.ReleaseSlot(ctx, n)
		} else if s.held[n].Key != "" {
			continue // the picture is incomplete: it was not taken
		}
		if s.held[n] = mine; mine.Key != "" {
			take[n] = mine
		}
	}
	if len(take) > 0 {
		s.groups.OwnSlots(take)
	}
}

// forgetEvery is how often offsets of deleted topics are looked for, if any was deleted.
// They are not shown any more, so there is no hurry.
const forgetEvery = time.Minute

// forgetOffsets lets the groups of this agent forget what they committed for topics that
// were deleted.
func (s *slots) forgetOffsets(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	told := map[id.Topic]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			told = s.forgetDeleted(ctx, told)
		}
	}
}

// forgetDeleted does it if there are deleted topics that weren't reported yet, and returns what
// has been reported.
func (s *slots) forgetDeleted(ctx context.Context, told map[id.Topic]string) map[id.Topic]string {
	gone, news := map[id.Topic]string{}, false
	for t, d := range s.view.Deleted() {
		gone[t] = d.Name
		_, known := told[t]
		news = news || !known
	}
	if !news {
		return told
	}
	if err := s.groups.TopicsDeleted(ctx, gone); err != nil {
		if ctx.Err() == nil {
			s.log.Warn("offsets of deleted topics not removed, retrying", "err", err)
		}
		return told
	}
	return gone
}
