package group

import (
	"strings"

	"varve/coordinator"
)

// leave is LeaveGroup.
func (g *Group) leave(e Leave) {
	if g.deleting {
		g.out.Reply(e.Ticket, LeaveReply{Err: coordinator.ErrAway})
		return
	}
	errs := make([]error, len(e.Members))
	var gone []string
	for i, l := range e.Members {
		id, err := g.leaving(l)
		errs[i] = err
		if err == nil {
			g.remove(id)
			gone = append(gone, id+" ("+reason(l.Reason)+")")
		}
	}
	g.out.Reply(e.Ticket, LeaveReply{Members: errs})
	if len(gone) == 0 {
		return
	}
	why := "members left: " + strings.Join(gone, " ")
	if g.in(Stable, CompletingRebalance) {
		g.prepare(why)
		return
	}
	g.out.Note("%s", why)
	g.maybeComplete()
}

// leaving is whom an entry of a Leave means. Administrators name static members
// by their instance id alone.
func (g *Group) leaving(l Leaving) (string, error) {
	if !g.exists {
		return "", ErrUnknownMember
	}
	if l.MemberID == "" {
		if l.InstanceID != nil {
			if id, ok := g.static[*l.InstanceID]; ok {
				return id, nil
			}
		}
		return "", ErrUnknownMember
	}
	if _, given := g.pending[l.MemberID]; given {
		return l.MemberID, nil
	}
	return l.MemberID, g.check(l.MemberID, l.InstanceID)
}
