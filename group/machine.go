package group

import (
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
)

// What the coordinator asks of a group between its steps; see coordinator.Machine.
var _ coordinator.Machine = (*Group)(nil)

// Wake returns when the group next needs a Tick; zero if never.
func (g *Group) Wake() time.Time {
	return earlier(earlier(g.members.Next(), g.record.waits.next()), g.retention)
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Gone reports whether there is no such group, and nothing of one to be stored.
func (g *Group) Gone() bool { return !g.members.There() && !g.Busy() }

// Busy reports whether something is not stored yet.
func (g *Group) Busy() bool { return g.record.busy() || g.offsets.Changed() }

// Idle reports whether the group can be read from the store again as it is. One without
// offsets is about to be deleted.
func (g *Group) Idle() bool {
	if !g.members.Unused() || g.Busy() {
		return !g.members.There()
	}
	return g.record.kept && g.offsets.Any() || !g.record.kept && g.offsets.Empty()
}

// stays reports whether a group that was loaded has to be in memory, since its members'
// sessions run, or since it has offsets and no record.
func (g *Group) stays() bool { return g.members.State() == classic.Stable || !g.record.kept }

// Expiry is when the group next has an offset to forget, or itself.
func (g *Group) Expiry() time.Time {
	if !g.offsets.Any() {
		return g.members.Since().Add(g.cfg.RetentionCheck)
	}
	if g.members.ProtocolType() == "" {
		return g.offsets.Expiry(time.Time{})
	}
	return g.offsets.Expiry(g.members.Since())
}

// State names the group's state.
func (g *Group) State() string { return g.members.State().String() }

// Size bounds what the members brought along, in bytes.
func (g *Group) Size() int { return g.members.Size() }

// Summary is what lists the group, and how far it got, while it is not in memory.
func (g *Group) Summary() any { return summary{g.listing(), g.progress()} }

// listing is what ListGroups shows of the group.
func (g *Group) listing() Listing {
	return Listing{g.id, g.members.ProtocolType(), g.members.State()}
}

// fetch returns the group's durable offsets; a group that is being deleted has none.
func (g *Group) fetch(topics []offsets.TopicPartitions) []offsets.FetchedTopic {
	if g.members.Ending() {
		return offsets.New(&g.cfg.Offsets).Fetch(topics)
	}
	return g.offsets.Fetch(topics)
}

// progress returns what is durable in little memory.
func (g *Group) progress() []offsets.Committed {
	if g.members.Ending() {
		return nil
	}
	return g.offsets.Progress()
}
