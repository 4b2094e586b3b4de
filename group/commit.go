package group

import (
	"slices"

	"varve/coordinator"
	"varve/group/offsets"
)

// commit is OffsetCommit.
func (g *Group) commit(e Commit) {
	if err := g.checkCommit(e); err != nil {
		g.out.Reply(e.Ticket, CommitReply{Err: err})
		return
	}
	if !g.exists {
		g.create()
		g.out.Note("group is made by a commit without members")
	}
	if m := g.byID[e.MemberID]; m != nil {
		g.extend(m, m.session)
	}
	errs, accepted, touched := g.offsets.Commit(g.out.Now, e.Retention, e.Topics)
	if slices.ContainsFunc(errs, func(of []error) bool { return slices.Contains(of, offsets.ErrTooLarge) }) {
		g.out.Alarm("commits are refused: the group's offsets and their metadata take %d bytes, groups.offsets_max_bytes is %d; delete offsets that nobody needs, or raise it", g.offsets.Size(), g.cfg.OffsetsMaxBytes)
	}
	if accepted == 0 {
		g.out.Reply(e.Ticket, CommitReply{Errs: errs})
		return
	}
	values := len(touched)
	if !g.recorded {
		values++
	}
	ticket := e.Ticket
	w := g.await(values, func(err error) {
		if err != nil {
			g.out.Reply(ticket, CommitReply{Err: err})
			return
		}
		g.out.Count(CountCommits, accepted)
		g.out.Reply(ticket, CommitReply{Errs: errs})
	})
	g.offsets.Await(touched, w)
	if !g.recorded {
		g.recorded = true
		g.next.record = g.record(nil)
		g.next.waits = append(g.next.waits, w)
	}
}

// checkCommit says whether who commits may.
func (g *Group) checkCommit(e Commit) error {
	if g.deleting {
		return coordinator.ErrAway
	}
	if !g.exists {
		switch {
		case e.Generation < 0:
			return nil
		case e.NewErrors:
			return ErrGroupNotFound
		}
		return ErrIllegalGeneration
	}
	if e.Generation < 0 && g.state == Empty {
		return nil
	}
	if e.Generation < 0 && e.MemberID == "" && e.InstanceID == nil {
		return ErrUnknownMember
	}
	if err := g.check(e.MemberID, e.InstanceID); err != nil {
		return err
	}
	if e.Generation != g.generation {
		return ErrIllegalGeneration
	}
	if g.state == CompletingRebalance {
		return ErrRebalance
	}
	return nil
}
