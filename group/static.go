package group

import "time"

// replace gives a static member a new id (KIP-345): its client was started
// again. What waits for the old id is fenced. If the generation stays as it is
// the others notice nothing.
func (g *Group) replace(e Join, oldID, newID string) {
	m := g.byID[oldID]
	before, leader := *m, g.leader
	g.out.Note("static member %s takes the place of %s", newID, oldID)
	g.answerJoin(m, JoinReply{Err: ErrFenced, MemberID: oldID, Generation: -1})
	g.answerSync(m, SyncReply{Err: ErrFenced})
	g.rename(m, newID)
	g.update(m, e)
	switch g.state {
	case Stable:
		if g.vote() != g.protocol {
			g.rebalance("static member " + newID + " changes the protocol; client reason: " + reason(e.Reason))
			return
		}
		g.extend(m, m.session)
		g.keepReplaced(m, e.CanSkip, before, leader)
	case CompletingRebalance:
		// The leader may be assigning to the old id just now.
		g.extend(m, m.session)
		g.prepare("static member " + newID + " rejoined; client reason: " + reason(e.Reason))
	default:
		g.extend(m, m.session)
		g.maybeComplete()
	}
}

// rename gives a member another id.
func (g *Group) rename(m *member, id string) {
	g.timers.Cancel(timerKey{kind: timerSession, member: m.id})
	delete(g.byID, m.id)
	if _, awaited := g.unsynced[m.id]; awaited {
		delete(g.unsynced, m.id)
		g.unsynced[id] = struct{}{}
	}
	if g.leader == m.id {
		g.leader = id
	}
	m.id, m.isNew = id, false
	g.byID[id] = m
	g.static[*m.instance] = id
}

// keepReplaced stores the new id, then lets the member go on in its generation;
// if it can't be stored the old id holds.
func (g *Group) keepReplaced(m *member, canSkip bool, before member, leader string) {
	generation, id, ticket := g.generation, m.id, *m.join
	g.storeRecord(g.record(nil), g.await, func(err error) {
		// A rebalance may have come in between, and answered.
		if g.byID[id] != m || m.join == nil || *m.join != ticket || g.state != Stable || g.generation != generation {
			return
		}
		if err != nil {
			g.answerJoin(m, JoinReply{Err: err, Generation: -1})
			g.restore(m, before)
			return
		}
		r := g.joined(m, canSkip && g.leader == id)
		r.SkipAssignment = canSkip && g.leader == id
		if !canSkip {
			// A client that doesn't know SkipAssignment would assign if it were
			// told that it leads, and the group would not hear of it.
			r.Leader = leader
		}
		m.isNew = false
		g.answerJoin(m, r)
		g.extend(m, m.session)
	})
}

// restore undoes a replacement.
func (g *Group) restore(m *member, before member) {
	g.out.Note("static member %s could not be stored; %s stays", m.id, before.id)
	g.rename(m, before.id)
	m.protocols, m.rebalance, m.session = before.protocols, before.rebalance, before.session
	g.size += before.size - m.size
	m.size = before.size
	g.extend(m, max(m.session, time.Millisecond))
	// The store may yet apply the record with the new id.
	g.storeRecord(g.record(nil), nil, nil)
}
