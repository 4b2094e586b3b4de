package classic

import (
	"time"

	"varve/coordinator"
)

// replacement is a static member that got a new id (KIP-345), as long as that isn't stored.
type replacement struct {
	*member
	oldID, newID string
	before       brought
	leader       string             // before
	ticket       coordinator.Ticket // of the Join that is answered when it is stored
	generation   int32
	canSkip      bool // the client knows SkipAssignment
}

// replace changes the id of a static member whose client was restarted. Requests that wait
// under the old id are fenced. If the generation does not change, other members are not
// affected.
func (m *Membership) replace(e Join, oldID, newID string) {
	o := m.byID[oldID]
	r := &replacement{member: o, oldID: oldID, newID: newID, before: o.brought, leader: m.leader,
		ticket: e.Ticket, generation: m.gen.number, canSkip: e.CanSkip}
	m.out.Note("static member %s takes the place of %s", newID, oldID)
	m.answerJoin(o, JoinReply{Err: ErrFenced, MemberID: oldID, Generation: -1})
	m.answerSync(o, SyncReply{Err: ErrFenced})
	m.rename(o, newID)
	m.update(o, e)
	if m.gen.state == Stable && m.vote() != m.gen.protocol {
		m.gen.rebalance("static member " + newID + " changes the protocol; client reason: " + reason(e.Reason))
		return
	}
	m.extend(o, o.session)
	switch m.gen.state {
	case Stable:
		m.gen.keep(nil, false, func(err error) { m.replaced(r, err) })
	case CompletingRebalance:
		// The leader may be assigning to the old id just now.
		m.gen.prepare("static member " + newID + " rejoined; client reason: " + reason(e.Reason))
	default:
		m.gen.maybeComplete()
	}
}

// replaced lets a member whose new id is stored go on in its generation; if it can't be
// stored the old id holds.
func (m *Membership) replaced(r *replacement, err error) {
	o := r.member
	// A rebalance may have come in between, and answered.
	if m.byID[r.newID] != o || o.join == nil || *o.join != r.ticket || m.gen.state != Stable || m.gen.number != r.generation {
		return
	}
	if err != nil {
		m.answerJoin(o, JoinReply{Err: err, Generation: -1})
		m.restore(r)
		return
	}
	skip := r.canSkip && m.leader == r.newID
	reply := m.gen.joined(o, skip)
	reply.SkipAssignment = skip
	if !r.canSkip {
		// A client that doesn't know SkipAssignment would assign if it were
		// told that it leads, and the group would not hear of it.
		reply.Leader = r.leader
	}
	o.isNew = false
	m.answerJoin(o, reply)
	m.extend(o, o.session)
}

// restore undoes a replacement.
func (m *Membership) restore(r *replacement) {
	m.out.Note("static member %s could not be stored; %s stays", r.newID, r.oldID)
	m.rename(r.member, r.oldID)
	m.set(r.member, r.before)
	m.extend(r.member, max(r.session, time.Millisecond))
	// The store may yet apply the record with the new id.
	m.gen.keep(nil, false, nil)
}
