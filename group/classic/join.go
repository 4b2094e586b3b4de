package classic

import (
	"slices"

	"varve/coordinator"
)

// maxPending bounds how many ids may be given out that have not joined.
const maxPending = 1 << 14

// join is JoinGroup.
func (m *Membership) join(e Join) {
	refuse := func(id string, err error) {
		m.out.Reply(e.Ticket, JoinReply{Err: err, MemberID: id, Generation: -1})
	}
	e.Protocols = distinct(e.Protocols)
	if e.SessionTimeout < m.cfg.MinSessionTimeout || e.SessionTimeout > m.cfg.MaxSessionTimeout {
		refuse(e.MemberID, ErrSessionTimeout)
		return
	}
	if m.gen.deleting {
		refuse(e.MemberID, coordinator.ErrAway)
		return
	}
	if !m.gen.there() && e.MemberID != "" {
		refuse(e.MemberID, ErrUnknownMember)
		return
	}
	if m.joinAway(e) {
		return
	}
	if !m.holds(&e) {
		m.out.Alarm("a member was refused: with what it brings along the group would be too large to be stored (%d bytes at most); let it have fewer members, or subscriptions that take less", maxRecordBytes)
		refuse(e.MemberID, ErrRecordTooLarge)
		return
	}
	if !m.gen.there() {
		// Only a join that can succeed makes a group.
		if e.ProtocolType == "" || len(e.Protocols) == 0 {
			refuse("", ErrInconsistentProtocol)
			return
		}
		m.Create()
	}
	switch {
	case !m.accepts(e.MemberID):
		m.remove(e.MemberID)
		refuse("", ErrMaxSize)
		m.gen.maybeComplete()
	case !m.compatible(e.ProtocolType, e.Protocols):
		refuse(e.MemberID, ErrInconsistentProtocol)
	case e.MemberID == "":
		m.joinNew(e)
	default:
		m.joinAgain(e)
	}
}

// distinct drops protocols whose name stood before.
func distinct(protocols []Protocol) []Protocol {
	seen := make(map[string]struct{}, len(protocols))
	return slices.DeleteFunc(slices.Clone(protocols), func(p Protocol) bool {
		_, twice := seen[p.Name]
		seen[p.Name] = struct{}{}
		return twice
	})
}

// accepts reports whether the group has room for a member. While members rejoin, the first
// to do so stay, so that a group that is too large shrinks.
func (m *Membership) accepts(id string) bool {
	o := m.byID[id]
	switch m.gen.state {
	case PreparingRebalance:
		return o != nil && o.join != nil || m.joining < m.cfg.MaxSize
	case CompletingRebalance, Stable:
		return o != nil || len(m.members) < m.cfg.MaxSize
	}
	return true
}

// compatible reports whether the group can have a member with these protocols.
func (m *Membership) compatible(protocolType string, protocols []Protocol) bool {
	if m.gen.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	common := m.common()
	return m.gen.protocolType == protocolType &&
		slices.ContainsFunc(protocols, func(p Protocol) bool { return len(m.members) == 0 || common[p.Name] })
}

// joinNew is the first Join of a member without an id.
func (m *Membership) joinNew(e Join) {
	if e.InstanceID != nil {
		id := *e.InstanceID + "-" + e.NewID
		if old, known := m.static[*e.InstanceID]; known {
			m.replace(e, old, id)
			return
		}
		m.addMember(e, id)
		return
	}
	id := e.ClientID + "-" + e.NewID
	if !e.RequireMemberID {
		m.addMember(e, id)
		return
	}
	if len(m.pending) >= maxPending {
		m.out.Reply(e.Ticket, JoinReply{Err: ErrMaxSize, Generation: -1})
		return
	}
	m.give(id, e.SessionTimeout)
	m.out.Reply(e.Ticket, JoinReply{Err: ErrMemberIDRequired, MemberID: id, Generation: -1})
}

// joinAgain is a Join of a member that has an id.
func (m *Membership) joinAgain(e Join) {
	if m.given(e.MemberID) && e.InstanceID == nil {
		m.addMember(e, e.MemberID)
		return
	}
	if err := m.check(e.MemberID, e.InstanceID); err != nil {
		m.out.Reply(e.Ticket, JoinReply{Err: err, MemberID: e.MemberID, Generation: -1})
		return
	}
	o := m.byID[e.MemberID]
	leader := m.leader == o.id
	same := o.matches(e.Protocols)
	switch {
	case m.gen.state == CompletingRebalance && same:
		// The answer to its Join may have been lost.
		m.out.Reply(e.Ticket, m.gen.joined(o, leader))
	case m.gen.state == Stable && same && !leader:
		m.out.Reply(e.Ticket, m.gen.joined(o, false))
	case m.gen.state == Stable && same:
		// The leader may know of changes that the members' metadata don't show.
		m.update(o, e)
		m.gen.rebalance("leader " + o.id + " rejoined; client reason: " + reason(e.Reason))
	default:
		m.update(o, e)
		m.gen.rebalance("member " + o.id + " rejoined during " + m.gen.state.String() + "; client reason: " + reason(e.Reason))
	}
}

func reason(s string) string {
	if s == "" {
		return "not provided"
	}
	return s
}

// addMember makes a new member and lets its Join wait.
func (m *Membership) addMember(e Join, id string) {
	if len(m.members) == 0 {
		m.gen.protocolType = e.ProtocolType
	}
	o := &member{id: id, instance: e.InstanceID, clientID: e.ClientID, clientHost: e.ClientHost, isNew: true}
	if m.gen.state == PreparingRebalance {
		m.gen.phase.came = true
	}
	m.add(o)
	m.update(o, e)
	// A client that went away during a long rebalance and tries again makes one
	// more member each time; this is what ends the others.
	m.extend(o, m.cfg.NewMemberJoinTimeout)
	m.gen.rebalance("member " + id + " joined; client reason: " + reason(e.Reason))
}

// update takes what a Join holds of the member, and lets the Join wait.
func (m *Membership) update(o *member, e Join) {
	m.set(o, broughtBy(&e))
	m.awaitJoin(o, e.Ticket)
}
