package group

import (
	"maps"
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/id"
)

// deleteOffsets is OffsetDelete (KIP-496).
func (g *Group) deleteOffsets(e DeleteOffsets) {
	switch {
	case g.exists && g.away:
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Err: coordinator.ErrAway})
		return
	case !g.exists || g.deleting:
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Err: ErrGroupNotFound})
		return
	case g.state != Empty && g.protocolType != consumerProtocol:
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Err: ErrNonEmpty})
		return
	}
	errs := make([]error, len(e.Topics))
	touched := offsets.Shards{}
	n := 0
	for i, t := range e.Topics {
		if g.subscribed(t.Topic) {
			errs[i] = ErrSubscribed
			continue
		}
		n += g.offsets.Delete(t, touched)
	}
	if n == 0 {
		g.out.Reply(e.Ticket, DeleteOffsetsReply{Errs: errs})
		return
	}
	ticket := e.Ticket
	w := g.await(len(touched), func(err error) {
		if err == nil {
			g.out.Count(CountDeletedOffsets, n)
		}
		g.out.Reply(ticket, DeleteOffsetsReply{Err: err, Errs: errs})
	})
	g.offsets.Await(touched, w)
}

// subscribed says whether members read the topic; if their subscriptions are
// not understood, they may.
func (g *Group) subscribed(topic string) bool {
	if g.topics == nil {
		return g.protocolType == consumerProtocol && len(g.members) > 0
	}
	_, ok := g.topics[topic]
	return ok
}

// delete is DeleteGroups for one group.
func (g *Group) delete(e Delete) {
	switch {
	case g.exists && g.away:
		g.out.Reply(e.Ticket, DeleteReply{coordinator.ErrAway})
	case !g.exists || g.deleting:
		g.out.Reply(e.Ticket, DeleteReply{ErrGroupNotFound})
	case g.state != Empty:
		g.out.Reply(e.Ticket, DeleteReply{ErrNonEmpty})
	default:
		g.kill()
		ticket := e.Ticket
		g.next.waits = append(g.next.waits, g.await(1, func(err error) { g.out.Reply(ticket, DeleteReply{err}) }))
	}
}

// kill begins the end of a group without members.
func (g *Group) kill() {
	for id := range maps.Clone(g.pending) {
		g.remove(id)
	}
	g.offsets.DeleteAll()
	g.deleting, g.next.drop = true, true
	g.transition(Dead)
	g.out.Note("group is deleted")
}

// topicsDeleted forgets the offsets of topics that are gone, not those of another of
// the same name.
func (g *Group) topicsDeleted(gone map[id.Topic]string) {
	if !g.deleting {
		g.out.Count(CountDeletedOffsets, g.offsets.DeleteTopics(gone))
	}
}

// retention forgets offsets whose time is over, and the group with the last of
// them if it has no members (KIP-211).
func (g *Group) retention() {
	if !g.exists || g.deleting {
		return
	}
	g.timers.Set(timerKey{kind: timerRetention}, g.out.Now.Add(g.cfg.RetentionCheck))
	n := g.expire()
	if n > 0 {
		g.out.Note("%d offsets expired", n)
		g.out.Count(CountExpiredOffsets, n)
	}
	if g.state == Empty && len(g.pending) == 0 && !g.offsets.Any() {
		g.kill()
	}
}

// expire stages the end of expired offsets and returns how many there are. A group with
// members keeps those of the topics that it reads; what it reads must be known. The time of
// offsets begins with the last member's end, or with their commit if that says nothing.
func (g *Group) expire() int {
	byState := g.protocolType != "" && g.state == Empty
	byCommit := g.protocolType == "" || g.protocolType == consumerProtocol && g.topics != nil && g.state == Stable
	switch {
	case byState:
		return g.offsets.Expire(g.out.Now, g.since, g.subscribed)
	case byCommit:
		return g.offsets.Expire(g.out.Now, time.Time{}, g.subscribed)
	}
	return 0
}
