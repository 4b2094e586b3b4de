package classic

import (
	"maps"
	"slices"
	"time"

	"varve/coordinator"
	"varve/internal/deadline"
)

// timerKind is what a timer is for.
type timerKind uint8

const (
	timerSession  timerKind = iota // of a member, or of an id that was given out
	timerJoin                      // the end of the join phase
	timerSync                      // the end of the sync phase
	timerAssigned                  // the patience of Syncs with the store
)

type timer struct {
	kind   timerKind
	member string // of timerSession
}

// roster holds the members, their sessions, and the requests of theirs that wait.
type roster struct {
	out    *coordinator.Effects // of the present step
	timers deadline.Heap[timer]

	members  []*member // in order of joining
	byID     map[string]*member
	static   map[string]string   // member ids by instance id
	pending  map[string]struct{} // ids that were given out and have not joined
	leader   string              // Invariant: "" or a member
	size     int                 // of what members brought along
	joining  int                 // members whose Join waits
	unsynced int                 // members whose Sync is awaited
}

func newRoster(out *coordinator.Effects) *roster {
	return &roster{out: out, byID: map[string]*member{}, static: map[string]string{}, pending: map[string]struct{}{}}
}

// add makes a member part of the group.
func (r *roster) add(m *member) {
	r.members = append(r.members, m)
	r.byID[m.id] = m
	r.size += m.size
	if m.instance != nil {
		r.static[*m.instance] = m.id
	}
	if r.leader == "" {
		r.leader = m.id
	}
	delete(r.pending, m.id)
}

// give hands out a member id that has to be used within a time.
func (r *roster) give(id string, within time.Duration) {
	r.pending[id] = struct{}{}
	r.timers.Set(timer{timerSession, id}, r.out.Now.Add(within))
}

// given reports whether an id was given out and has not joined.
func (r *roster) given(id string) bool {
	_, is := r.pending[id]
	return is
}

// drop forgets the ids that were given out.
func (r *roster) drop() {
	for id := range maps.Clone(r.pending) {
		r.remove(id)
	}
}

// remove takes an id out of the group, whether it is a member or was only given
// out. The member's waiting requests are answered, so that it can join again.
func (r *roster) remove(id string) {
	r.timers.Cancel(timer{timerSession, id})
	delete(r.pending, id)
	m := r.byID[id]
	if m == nil {
		return
	}
	r.answerJoin(m, JoinReply{Err: ErrUnknownMember, Generation: -1})
	r.answerSync(m, SyncReply{Err: ErrUnknownMember})
	r.synced(m)
	delete(r.byID, id)
	r.size -= m.size
	r.members = slices.DeleteFunc(r.members, func(o *member) bool { return o == m })
	if m.instance != nil && r.static[*m.instance] == id {
		delete(r.static, *m.instance)
	}
	if r.leader == id {
		r.leader = ""
		if len(r.members) > 0 {
			r.leader = r.members[0].id
		}
	}
}

// rename changes the id of a static member.
func (r *roster) rename(m *member, id string) {
	r.timers.Cancel(timer{timerSession, m.id})
	delete(r.byID, m.id)
	if r.leader == m.id {
		r.leader = id
	}
	m.id, m.isNew = id, false
	r.byID[id] = m
	r.static[*m.instance] = id
}

// set changes what a member brought along.
func (r *roster) set(m *member, b brought) {
	r.size += b.size - m.size
	m.brought = b
}

// idOf returns the id of the joining member, "" if it has none yet.
func (r *roster) idOf(e *Join) string {
	if e.MemberID == "" && e.InstanceID != nil {
		return r.static[*e.InstanceID]
	}
	return e.MemberID
}

// check reports whether id may speak for a member: it must be one, and the one
// that has the instance id.
func (r *roster) check(id string, instance *string) error {
	if instance != nil {
		owner, ok := r.static[*instance]
		if !ok {
			return ErrUnknownMember
		}
		if owner != id {
			return ErrFenced
		}
	}
	if r.byID[id] == nil {
		return ErrUnknownMember
	}
	return nil
}

// maxMembersBytes bounds what a group's members bring along: enough for a record as
// large as can be stored if each has four protocols of one size.
const maxMembersBytes = 4 * maxRecordBytes

// holds reports whether there is room for what a member brings along. A member that stays
// without being able to agree with the others costs them their generation.
func (r *roster) holds(e *Join) bool {
	size := r.size + e.Size()
	if m := r.byID[r.idOf(e)]; m != nil {
		size -= m.size
	}
	return size <= maxMembersBytes
}

// extend restarts a member's session with a duration.
func (r *roster) extend(m *member, d time.Duration) {
	r.timers.Set(timer{timerSession, m.id}, r.out.Now.Add(d))
}

// awaitJoin makes a Join wait. It refuses one that waits already.
func (r *roster) awaitJoin(m *member, t coordinator.Ticket) {
	r.answerJoin(m, JoinReply{Err: ErrRebalance, MemberID: m.id, Generation: -1})
	m.join = &t
	r.joining++
}

func (r *roster) answerJoin(m *member, reply JoinReply) {
	if m.join != nil {
		r.out.Reply(*m.join, reply)
		m.join = nil
		r.joining--
	}
}

// awaitSync makes a Sync wait. It refuses one that waits already.
func (r *roster) awaitSync(m *member, t coordinator.Ticket) {
	r.answerSync(m, SyncReply{Err: ErrRebalance})
	m.sync = &t
}

// answerSync answers a member's Sync, and reports whether one waited.
func (r *roster) answerSync(m *member, reply SyncReply) bool {
	if m.sync == nil {
		return false
	}
	r.out.Reply(*m.sync, reply)
	m.sync = nil
	return true
}

// awaitSyncs awaits a Sync of each member.
func (r *roster) awaitSyncs() {
	for _, m := range r.members {
		m.unsynced = true
	}
	r.unsynced = len(r.members)
}

// synced notes that a member's Sync is no longer awaited.
func (r *roster) synced(m *member) {
	if m.unsynced {
		m.unsynced = false
		r.unsynced--
	}
}

// forgetSyncs stops awaiting Syncs.
func (r *roster) forgetSyncs() {
	for _, m := range r.members {
		r.synced(m)
	}
}

// allJoined reports whether everybody's Join waits.
func (r *roster) allJoined() bool { return len(r.members) == r.joining && len(r.pending) == 0 }

// ids returns the ids of the members that are chosen, in order of joining.
func (r *roster) ids(chosen func(*member) bool) (ids []string) {
	for _, m := range r.members {
		if chosen(m) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// electJoined makes sure that the leader is a member that joined, and reports whether there is one.
func (r *roster) electJoined() bool {
	if m := r.byID[r.leader]; m != nil && m.join != nil {
		return true
	}
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.join != nil })
	if i < 0 {
		return false
	}
	r.leader = r.members[i].id
	return true
}

// rebalanceTimeout is the longest that any member asks for.
func (r *roster) rebalanceTimeout() (d time.Duration) {
	for _, m := range r.members {
		d = max(d, m.rebalance)
	}
	return d
}
