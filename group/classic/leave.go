package classic

import (
	"strings"

	"varve/coordinator"
)

// leave is LeaveGroup.
func (m *Membership) leave(e Leave) {
	if m.gen.deleting {
		m.out.Reply(e.Ticket, LeaveReply{Err: coordinator.ErrAway})
		return
	}
	errs := make([]error, len(e.Members))
	var gone []string
	for i, l := range e.Members {
		id, err := m.leaving(l)
		errs[i] = err
		if err == nil {
			m.remove(id)
			gone = append(gone, id+" ("+reason(l.Reason)+")")
		}
	}
	m.out.Reply(e.Ticket, LeaveReply{Members: errs})
	if len(gone) == 0 {
		return
	}
	why := "members left: " + strings.Join(gone, " ")
	if m.gen.state.in(Stable, CompletingRebalance) {
		m.gen.prepare(why)
		return
	}
	m.out.Note("%s", why)
	m.gen.maybeComplete()
}

// leaving returns whom an entry of a Leave means. Administrators name static members
// by their instance id alone.
func (m *Membership) leaving(l Leaving) (string, error) {
	if l.MemberID == "" {
		if l.InstanceID != nil {
			if id, ok := m.static[*l.InstanceID]; ok {
				return id, nil
			}
		}
		return "", ErrUnknownMember
	}
	if m.given(l.MemberID) {
		return l.MemberID, nil
	}
	return l.MemberID, m.check(l.MemberID, l.InstanceID)
}
