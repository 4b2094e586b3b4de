package classic

import "varve/coordinator"

// heartbeat is Heartbeat.
func (m *Membership) heartbeat(e Heartbeat) error {
	if m.gen.deleting {
		return coordinator.ErrAway
	}
	if !m.gen.there() {
		return ErrUnknownMember
	}
	if err := m.check(e.MemberID, e.InstanceID); err != nil {
		return err
	}
	if e.Generation != m.gen.number {
		return ErrIllegalGeneration
	}
	m.Seen(e.MemberID)
	if m.gen.state == PreparingRebalance {
		return ErrRebalance
	}
	return nil
}

// sessionOver is the end of a session's time.
func (m *Membership) sessionOver(id string) {
	if m.given(id) {
		m.out.Note("id %s was given out and not used within the session timeout", id)
		m.remove(id)
		m.gen.completeJoined()
		return
	}
	o := m.byID[id]
	// Members that wait for a rebalance can't send heartbeats. A new one does
	// not know its id yet: if it is still there, it will try again.
	if o == nil || !o.isNew && (o.join != nil || o.sync != nil) {
		return
	}
	m.out.Note("member %s failed: no heartbeat within its session", id)
	m.out.Count(CountExpiredMembers, 1)
	m.remove(id)
	if m.gen.state.in(Stable, CompletingRebalance) {
		m.gen.prepare("member " + id + " expired")
		return
	}
	m.gen.completeJoined()
}
