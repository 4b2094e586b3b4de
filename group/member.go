package group

import (
	"bytes"
	"slices"
	"time"

	"varve/coordinator"
	"varve/metadata"
)

// member is one member of a group.
type member struct {
	id         string
	instance   *string // nil: a dynamic member
	clientID   string
	clientHost string
	rebalance  time.Duration
	session    time.Duration
	protocols  []Protocol // in order of preference, no name twice
	assignment []byte
	size       int                 // of what its Join brought along
	isNew      bool                // has not had an answer to its first Join
	join       *coordinator.Ticket // the Join that waits, if any
	sync       *coordinator.Ticket // the Sync that waits, if any
}

// memberOf is a member as it was stored.
func memberOf(r metadata.GroupMember, protocol string) *member {
	m := &member{id: r.ID, clientID: r.ClientID, clientHost: r.ClientHost, rebalance: r.RebalanceTimeout,
		session: r.SessionTimeout, protocols: []Protocol{{protocol, r.Metadata}}, assignment: r.Assignment}
	m.size = 512 + len(r.ID) + len(r.Metadata) + len(r.Assignment)
	if r.Static {
		m.instance = &r.Instance
	}
	return m
}

// metadata is the member's for a protocol, nil if it has none.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// matches says whether a Join brings nothing new.
func (m *member) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// add makes a member part of the group.
func (g *Group) add(m *member) {
	g.members = append(g.members, m)
	g.byID[m.id] = m
	g.size += m.size
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	delete(g.pending, m.id)
}

// remove takes an id out of the group, whether it is a member or was only given
// out. What the member waits for is answered: if it is still there it can join
// anew.
func (g *Group) remove(id string) {
	g.timers.Cancel(timerKey{kind: timerSession, member: id})
	delete(g.pending, id)
	delete(g.unsynced, id)
	m := g.byID[id]
	if m == nil {
		return
	}
	g.answerJoin(m, JoinReply{Err: ErrUnknownMember, Generation: -1})
	g.answerSync(m, SyncReply{Err: ErrUnknownMember})
	delete(g.byID, id)
	g.size -= m.size
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	if m.instance != nil && g.static[*m.instance] == id {
		delete(g.static, *m.instance)
	}
	if g.leader == id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

// extend begins a member's session anew.
func (g *Group) extend(m *member, d time.Duration) {
	g.timers.Set(timerKey{kind: timerSession, member: m.id}, g.out.Now.Add(d))
}

// awaitJoin makes a Join wait; one that waits already gives way.
func (g *Group) awaitJoin(m *member, t coordinator.Ticket) {
	g.answerJoin(m, JoinReply{Err: ErrRebalance, MemberID: m.id, Generation: -1})
	m.join = &t
	g.awaiting++
}

func (g *Group) answerJoin(m *member, r JoinReply) bool {
	if m.join == nil {
		return false
	}
	g.out.Reply(*m.join, r)
	m.join = nil
	g.awaiting--
	return true
}

// awaitSync makes a Sync wait; one that waits already gives way.
func (g *Group) awaitSync(m *member, t coordinator.Ticket) {
	g.answerSync(m, SyncReply{Err: ErrRebalance})
	m.sync = &t
}

func (g *Group) answerSync(m *member, r SyncReply) bool {
	if m.sync == nil {
		return false
	}
	g.out.Reply(*m.sync, r)
	m.sync = nil
	return true
}

// check says whether id may speak for a member: it must be one, and the one
// that has the instance id.
func (g *Group) check(id string, instance *string) error {
	if instance != nil {
		owner, ok := g.static[*instance]
		if !ok {
			return ErrUnknownMember
		}
		if owner != id {
			return ErrFenced
		}
	}
	if g.byID[id] == nil {
		return ErrUnknownMember
	}
	return nil
}

// sessionOver is the end of a session's time.
func (g *Group) sessionOver(id string) {
	if _, given := g.pending[id]; given {
		g.out.Note("id %s was given out and not used within the session timeout", id)
		g.remove(id)
		if g.state == PreparingRebalance && g.allJoined() {
			g.complete()
		}
		return
	}
	m := g.byID[id]
	// Members that wait for a rebalance can't send heartbeats. A new one does
	// not know its id yet: if it is still there, it will try again.
	if m == nil || !m.isNew && (m.join != nil || m.sync != nil) {
		return
	}
	g.out.Note("member %s failed: no heartbeat within its session", id)
	g.out.Count(CountExpiredMembers, 1)
	g.remove(id)
	switch {
	case g.in(Stable, CompletingRebalance):
		g.prepare("member " + id + " expired")
	case g.state == PreparingRebalance && g.allJoined():
		g.complete()
	}
}
