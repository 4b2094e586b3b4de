package group

import (
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
)

// deleteOffsets is OffsetDelete (KIP-496).
func (g *Group) deleteOffsets(e DeleteOffsets) {
	if err := g.checkDelete(g.members.ProtocolType() == classic.ConsumerProtocol); err != nil {
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Err: err})
		return
	}
	errs := make([]error, len(e.Topics))
	touched := offsets.Shards{}
	n := 0
	for i, t := range e.Topics {
		if g.members.Subscribed(t.Topic) {
			errs[i] = ErrSubscribed
			continue
		}
		n += g.offsets.Delete(t, touched)
	}
	if n == 0 {
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Errs: errs})
		return
	}
	g.offsets.Await(touched, g.record.await(len(touched), func(err error) {
		if err == nil {
			g.out.Count(CountDeletedOffsets, n)
		}
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Err: err, Errs: errs})
	}))
}

// delete is DeleteGroups for one group.
func (g *Group) delete(e Delete) {
	if err := g.checkDelete(false); err != nil {
		g.out.Reply(e.Ticket, DeleteReply{err})
		return
	}
	g.end()
	g.record.next.waits = append(g.record.next.waits, g.record.await(1, func(err error) { g.out.Reply(e.Ticket, DeleteReply{err}) }))
}

// checkDelete reports whether something of the group may be deleted, with members or only
// without.
func (g *Group) checkDelete(members bool) error {
	switch {
	case g.members.There() && g.away:
		return coordinator.ErrAway
	case !g.members.There() || g.members.Ending():
		return ErrGroupNotFound
	case g.members.State() != classic.Empty && !members:
		return ErrNonEmpty
	}
	return nil
}

// end begins the end of a group without members.
func (g *Group) end() {
	g.offsets.DeleteAll()
	g.members.End()
	g.record.next.drop = true
	g.out.Note("group is deleted")
}

// topicsDeleted forgets the offsets of topics that are gone, not those of another of
// the same name.
func (g *Group) topicsDeleted(e TopicsDeleted) {
	if !g.members.Ending() {
		g.out.Count(CountDeletedOffsets, g.offsets.DeleteTopics(e.Gone))
	}
}

// retain forgets offsets whose time is over, and the group with the last of
// them if it has no members (KIP-211).
func (g *Group) retain() {
	g.retention = g.out.Now.Add(g.cfg.RetentionCheck)
	if g.members.Ending() {
		return
	}
	n := g.expire()
	if n > 0 {
		g.out.Note("%d offsets expired", n)
		g.out.Count(CountExpiredOffsets, n)
	}
	if g.members.Unused() && !g.offsets.Any() {
		g.end()
	}
}

// expire stages the end of expired offsets and returns how many there are. A group with
// members keeps those of the topics that it reads; what it reads must be known. The time of
// offsets begins with the last member's end, or with their commit if that isn't known.
func (g *Group) expire() int {
	switch joined := g.members.ProtocolType() != ""; {
	case joined && g.members.State() == classic.Empty:
		return g.offsets.Expire(g.out.Now, g.members.Since(), g.members.Subscribed)
	case !joined || g.members.Understood():
		return g.offsets.Expire(g.out.Now, time.Time{}, g.members.Subscribed)
	}
	return 0
}
