package group

import (
	"slices"

	"varve/coordinator"
)

// maxPending bounds how many ids may be given out that have not joined.
const maxPending = 1 << 14

// join is JoinGroup.
func (g *Group) join(e Join) {
	refuse := func(id string, err error) {
		g.out.Reply(e.Ticket, JoinReply{Err: err, MemberID: id, Generation: -1})
	}
	e.Protocols = distinct(e.Protocols)
	if e.SessionTimeout < g.cfg.MinSessionTimeout || e.SessionTimeout > g.cfg.MaxSessionTimeout {
		refuse(e.MemberID, ErrSessionTimeout)
		return
	}
	if g.deleting {
		refuse(e.MemberID, coordinator.ErrAway)
		return
	}
	if !g.exists && e.MemberID != "" {
		refuse(e.MemberID, ErrUnknownMember)
		return
	}
	if g.joinAway(e) {
		return
	}
	if !g.holds(e) {
		g.out.Alarm("a member was refused: with what it brings along the group would be too large to be stored (%d bytes at most); let it have fewer members, or subscriptions that take less", maxRecordBytes)
		refuse(e.MemberID, ErrRecordTooLarge)
		return
	}
	if !g.exists {
		// Only a join that can succeed makes a group.
		if e.ProtocolType == "" || len(e.Protocols) == 0 {
			refuse("", ErrInconsistentProtocol)
			return
		}
		g.create()
	}
	switch {
	case !g.accepts(e.MemberID):
		g.remove(e.MemberID)
		refuse("", ErrMaxSize)
		g.maybeComplete()
	case !g.compatible(e.ProtocolType, e.Protocols):
		refuse(e.MemberID, ErrInconsistentProtocol)
	case e.MemberID == "":
		g.joinNew(e)
	default:
		g.joinAgain(e)
	}
}

// maxMembersBytes bounds what a group's members bring along: enough for a record as
// large as can be stored if each has four protocols of one size.
const maxMembersBytes = 4 * maxRecordBytes

// holds says whether the group can hold what somebody brings along. A member that stays
// without being able to agree with the others costs them their generation.
func (g *Group) holds(e Join) bool {
	id := e.MemberID
	if id == "" && e.InstanceID != nil {
		id = g.static[*e.InstanceID]
	}
	size := g.size + e.size()
	if m := g.byID[id]; m != nil {
		size -= m.size
	}
	return size <= maxMembersBytes
}

// size bounds what is kept of a Join as long as the member stays.
func (e *Join) size() int {
	n := 512 + len(e.MemberID) + len(e.ClientID) + len(e.ClientHost) + len(e.ProtocolType)
	if e.InstanceID != nil {
		n += 2 * len(*e.InstanceID) // it is part of the id, too
	}
	for _, p := range e.Protocols {
		n += 64 + len(p.Name) + len(p.Metadata)
	}
	return n
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

// accepts says whether there is room for who joins. While members rejoin, those
// who come first stay, so that a group that is too large shrinks.
func (g *Group) accepts(id string) bool {
	m := g.byID[id]
	switch g.state {
	case PreparingRebalance:
		return m != nil && m.join != nil || g.awaiting < g.cfg.MaxSize
	case CompletingRebalance, Stable:
		return m != nil || len(g.members) < g.cfg.MaxSize
	}
	return true
}

// compatible says whether the group can have a member with these protocols.
func (g *Group) compatible(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	common := g.common()
	return g.protocolType == protocolType &&
		slices.ContainsFunc(protocols, func(p Protocol) bool { return len(g.members) == 0 || common[p.Name] })
}

// common are the protocols that all members have.
func (g *Group) common() map[string]bool {
	n := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			n[p.Name]++
		}
	}
	common := map[string]bool{}
	for name, count := range n {
		if count == len(g.members) {
			common[name] = true
		}
	}
	return common
}

// joinNew is the first Join of somebody without id.
func (g *Group) joinNew(e Join) {
	if e.InstanceID != nil {
		id := *e.InstanceID + "-" + e.NewID
		if old, known := g.static[*e.InstanceID]; known {
			g.replace(e, old, id)
			return
		}
		g.addMember(e, id)
		return
	}
	id := e.ClientID + "-" + e.NewID
	if !e.RequireMemberID {
		g.addMember(e, id)
		return
	}
	if len(g.pending) >= maxPending {
		g.out.Reply(e.Ticket, JoinReply{Err: ErrMaxSize, Generation: -1})
		return
	}
	g.pending[id] = struct{}{}
	g.timers.Set(timerKey{kind: timerSession, member: id}, g.out.Now.Add(e.SessionTimeout))
	g.out.Reply(e.Ticket, JoinReply{Err: ErrMemberIDRequired, MemberID: id, Generation: -1})
}

// joinAgain is a Join by somebody who has an id.
func (g *Group) joinAgain(e Join) {
	if _, given := g.pending[e.MemberID]; given && e.InstanceID == nil {
		g.addMember(e, e.MemberID)
		return
	}
	if err := g.check(e.MemberID, e.InstanceID); err != nil {
		g.out.Reply(e.Ticket, JoinReply{Err: err, MemberID: e.MemberID, Generation: -1})
		return
	}
	m := g.byID[e.MemberID]
	leader := g.leader == m.id
	same := m.matches(e.Protocols)
	switch {
	case g.state == CompletingRebalance && same:
		// The answer to its Join may have been lost.
		g.out.Reply(e.Ticket, g.joined(m, leader))
	case g.state == Stable && same && !leader:
		g.out.Reply(e.Ticket, g.joined(m, false))
	case g.state == Stable && same:
		// The leader may know of changes that the members' metadata don't show.
		g.update(m, e)
		g.rebalance("leader " + m.id + " rejoined; client reason: " + reason(e.Reason))
	default:
		g.update(m, e)
		g.rebalance("member " + m.id + " rejoined during " + g.state.String() + "; client reason: " + reason(e.Reason))
	}
}

func reason(s string) string {
	if s == "" {
		return "not provided"
	}
	return s
}

// addMember makes a new member and lets its Join wait.
func (g *Group) addMember(e Join, id string) {
	if len(g.members) == 0 {
		g.protocolType = e.ProtocolType
	}
	m := &member{id: id, instance: e.InstanceID, clientID: e.ClientID, clientHost: e.ClientHost, isNew: true}
	if g.state == PreparingRebalance && g.joinFirst {
		g.joinMore = true
	}
	g.add(m)
	g.update(m, e)
	// A client that went away during a long rebalance and tries again makes one
	// more member each time; this is what ends the others.
	g.extend(m, g.cfg.NewMemberJoinTimeout)
	g.rebalance("member " + id + " joined; client reason: " + reason(e.Reason))
}

// update takes what a Join says of the member, and lets the Join wait.
func (g *Group) update(m *member, e Join) {
	m.protocols, m.rebalance, m.session = e.Protocols, e.RebalanceTimeout, e.SessionTimeout
	g.size += e.size() - m.size
	m.size = e.size()
	g.awaitJoin(m, e.Ticket)
}

// joined is the answer to a Join in the present generation.
func (g *Group) joined(m *member, all bool) JoinReply {
	r := JoinReply{MemberID: m.id, Generation: g.generation, Leader: g.leader,
		ProtocolType: optional(g.protocolType), Protocol: optional(g.protocol)}
	if all {
		for _, o := range g.members {
			r.Members = append(r.Members, JoinedMember{o.id, o.instance, o.metadata(g.protocol)})
		}
	}
	return r
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
