package group

import (
	"slices"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
)

// commit is OffsetCommit.
func (g *Group) commit(e Commit) {
	if err := g.checkCommit(e); err != nil {
		g.out.Reply(e.Ticket, CommitReply{Err: err})
		return
	}
	if !g.members.There() {
		g.members.Create()
		g.out.Note("group is made by a commit without members")
	}
	g.members.Seen(e.MemberID)
	errs, accepted, touched := g.offsets.Commit(g.out.Now, e.Retention, e.Topics)
	if slices.ContainsFunc(errs, func(of []error) bool { return slices.Contains(of, offsets.ErrTooLarge) }) {
		g.out.Alarm("commits are refused: the group's offsets and their metadata take %d bytes, groups.offsets_max_bytes is %d; delete offsets that nobody needs, or raise it", g.offsets.Size(), g.cfg.Offsets.OffsetsMaxBytes)
	}
	if accepted == 0 {
		g.out.Reply(e.Ticket, CommitReply{Errs: errs})
		return
	}
	values := len(touched)
	if !g.record.kept {
		values++
	}
	w := g.record.await(values, func(err error) {
		if err != nil {
			g.out.Reply(e.Ticket, CommitReply{Err: err})
			return
		}
		g.out.Count(CountCommits, accepted)
		g.out.Reply(e.Ticket, CommitReply{Errs: errs})
	})
	g.offsets.Await(touched, w)
	if !g.record.kept {
		g.record.put(g.members.Record(), w)
	}
}

// checkCommit returns an error if the client may not commit.
func (g *Group) checkCommit(e Commit) error {
	switch {
	case g.members.Ending():
		return coordinator.ErrAway
	case g.members.There():
		return g.members.CheckCommit(e.MemberID, e.InstanceID, e.Generation)
	case e.Generation < 0:
		return nil
	case e.NewErrors:
		return ErrGroupNotFound
	}
	return classic.ErrIllegalGeneration
}

// settle is Settle: it waits for whatever has changed up to now.
func (g *Group) settle(e Settle) {
	changed := g.offsets.Unstored()
	if len(changed) == 0 {
		g.out.Reply(e.Ticket, SettleReply{})
		return
	}
	g.offsets.Await(changed, g.record.await(len(changed), func(err error) { g.out.Reply(e.Ticket, SettleReply{err}) }))
}
