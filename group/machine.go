package group

import (
	"time"

	"varve/coordinator"
)

// What the coordinator asks of a group between its steps; see coordinator.Machine.
var _ coordinator.Machine = (*Group)(nil)

// Wake returns when the group next wants a Tick; zero if never.
func (g *Group) Wake() time.Time { return earlier(g.timers.Next(), g.waits.next()) }

// Gone reports whether there is no such group, and nothing of one to be stored.
func (g *Group) Gone() bool { return !g.exists && !g.Busy() }

// Busy reports whether something is not stored yet.
func (g *Group) Busy() bool {
	return g.flight != nil || g.offsets.Changed() || g.next.record != nil || g.next.drop
}

// Idle reports whether the group can be read from the store again as it is. One without
// offsets is about to be deleted.
func (g *Group) Idle() bool {
	if g.state != Empty || len(g.pending) > 0 || g.Busy() {
		return !g.exists
	}
	return g.recorded && g.offsets.Any() || !g.recorded && g.offsets.Empty()
}

// stays reports whether a group that was loaded has to be in memory, since its members'
// sessions run, or since it has offsets and no record of a crash's making.
func (g *Group) stays() bool { return g.state == Stable || !g.recorded }

// Expiry is when the group next has an offset to forget, or itself; zero if it
// can't be told.
func (g *Group) Expiry() time.Time {
	if !g.offsets.Any() {
		return g.since.Add(g.cfg.RetentionCheck)
	}
	if g.protocolType == "" {
		return g.offsets.Expiry(time.Time{})
	}
	return g.offsets.Expiry(g.since)
}

// State names the group's state.
func (g *Group) State() string { return g.state.String() }

// Size bounds what the members brought along, in bytes.
func (g *Group) Size() int { return g.size }

// Summary is what lists the group, and how far it got, while it is not in memory.
func (g *Group) Summary() any { return summary{g.List(), g.progress()} }

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
