package group

import "varve/coordinator"

// storeAway is StoreAway: what the group does while the metadata store doesn't answer.
// Members keep their sessions and assignments, and what they commit is stored later. A
// rebalance would leave them without partitions for as long as its end can't be stored,
// so it begins when the store is back.
func (g *Group) storeAway(away bool) {
	if g.away = away; away || !g.exists || g.deferred == "" {
		return
	}
	why := g.deferred
	g.deferred = ""
	if g.state == Stable {
		g.prepare(why)
	}
}

// postpone reports whether a rebalance has to wait for the store, and remembers it.
func (g *Group) postpone(why string) bool {
	if !g.away || g.state != Stable || len(g.members) == 0 {
		return false
	}
	if g.deferred == "" {
		g.out.Note("a rebalance waits until the metadata store is back: %s", why)
		g.deferred = why
	}
	return true
}

// joinAway is JoinGroup while the store is away; false if it goes on as always: members of
// a rebalance that is under way do. One that comes back to a stable group unchanged gets
// what it has. Everybody else has to try again, and doesn't lose its session meanwhile.
func (g *Group) joinAway(e Join) bool {
	if !g.away {
		return false
	}
	id := e.MemberID
	if id == "" && e.InstanceID != nil {
		id = g.static[*e.InstanceID]
	}
	m := g.byID[id]
	_, given := g.pending[id]
	switch {
	case id != "" && m == nil && !given, m != nil && e.MemberID != "" && g.check(id, e.InstanceID) != nil:
		return false // it is told so
	case id != "" && e.MemberID == id && g.in(PreparingRebalance, CompletingRebalance):
		return false
	case m != nil && e.MemberID == id && m.matches(e.Protocols):
		g.extend(m, e.SessionTimeout)
		if g.leader == id {
			g.postpone("leader " + id + " rejoined; client reason: " + reason(e.Reason))
		}
		g.out.Reply(e.Ticket, g.joined(m, g.leader == id))
		return true
	case id != "":
		g.timers.Set(timerKey{kind: timerSession, member: id}, g.out.Now.Add(e.SessionTimeout))
	}
	g.out.Reply(e.Ticket, JoinReply{Err: coordinator.ErrAway, MemberID: e.MemberID, Generation: -1})
	return true
}
