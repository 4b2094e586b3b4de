package classic

import "varve/coordinator"

// storeAway notes whether the metadata store is away. A rebalance that was postponed begins
// when it is back.
func (g *generations) storeAway(away bool) {
	if g.away = away; away || g.deferred == "" {
		return
	}
	why := g.deferred
	g.deferred = ""
	if g.state == Stable {
		g.prepare(why)
	}
}

// postpone reports whether a rebalance has to wait for the store, and remembers it.
func (g *generations) postpone(why string) bool {
	if !g.away || g.state != Stable || len(g.members) == 0 {
		return false
	}
	if g.deferred == "" {
		g.out.Note("a rebalance waits until the metadata store is back: %s", why)
		g.deferred = why
	}
	return true
}

// joinAway answers a JoinGroup while the store is away. It returns false if the request is
// handled as usual: so are those of members of a rebalance in progress. A member that
// rejoins a stable group unchanged gets its present assignment. All others have to retry,
// and keep their sessions.
func (m *Membership) joinAway(e Join) bool {
	if !m.gen.away {
		return false
	}
	id := m.idOf(&e)
	o := m.byID[id]
	switch {
	case id != "" && o == nil && !m.given(id), o != nil && e.MemberID != "" && m.check(id, e.InstanceID) != nil:
		return false // the usual handling refuses it
	case id != "" && e.MemberID == id && m.gen.state.in(PreparingRebalance, CompletingRebalance):
		return false
	case o != nil && e.MemberID == id && o.matches(e.Protocols):
		m.extend(o, e.SessionTimeout)
		if m.leader == id {
			m.gen.postpone("leader " + id + " rejoined; client reason: " + reason(e.Reason))
		}
		m.out.Reply(e.Ticket, m.gen.joined(o, m.leader == id))
		return true
	case id != "":
		m.timers.Set(timer{timerSession, id}, m.out.Now.Add(e.SessionTimeout))
	}
	m.out.Reply(e.Ticket, JoinReply{Err: coordinator.ErrAway, MemberID: e.MemberID, Generation: -1})
	return true
}
