package group

import (
	"maps"
	"slices"

	"varve/internal/id"
)

// deleteOffsets is OffsetDelete (KIP-496).
func (g *Group) deleteOffsets(e DeleteOffsets) {
	switch {
	case g.exists && g.away:
		g.reply(e.Ticket, DeleteOffsetsReply{Err: ErrAway})
		return
	case !g.exists || g.deleting:
		g.reply(e.Ticket, DeleteOffsetsReply{Err: ErrGroupNotFound})
		return
	case g.state != Empty && g.protocolType != consumerProtocol:
		g.reply(e.Ticket, DeleteOffsetsReply{Err: ErrNonEmpty})
		return
	}
	errs := make([]error, len(e.Topics))
	touched := map[Shard]struct{}{}
	n := 0
	for i, t := range e.Topics {
		if g.subscribed(t.Topic) {
			errs[i] = ErrSubscribed
			continue
		}
		n += g.stageGone(t.Topic, t.Partitions, touched)
	}
	if n == 0 {
		g.reply(e.Ticket, DeleteOffsetsReply{Errs: errs})
		return
	}
	ticket := e.Ticket
	w := g.newWait(len(touched), func(err error) {
		if err == nil {
			g.count(CountDeletedOffsets, n)
		}
		g.reply(ticket, DeleteOffsetsReply{Err: err, Errs: errs})
	})
	for at := range touched {
		p := g.part(at)
		p.stagedWaits = append(p.stagedWaits, w)
	}
}

// stageGone stages the end of offsets that are there and says how many are.
func (g *Group) stageGone(topic string, partitions []int32, touched map[Shard]struct{}) (n int) {
	for _, index := range partitions {
		at := shardOf(topic, index)
		p := g.part(at)
		if p == nil {
			continue
		}
		if _, has := p.latest(index); has {
			g.stage(topic, index, change{gone: true})
			touched[at] = struct{}{}
			n++
		}
	}
	return n
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
		g.reply(e.Ticket, DeleteReply{ErrAway})
	case !g.exists || g.deleting:
		g.reply(e.Ticket, DeleteReply{ErrGroupNotFound})
	case g.state != Empty:
		g.reply(e.Ticket, DeleteReply{ErrNonEmpty})
	default:
		g.kill()
		ticket := e.Ticket
		g.next.waits = append(g.next.waits, g.newWait(1, func(err error) { g.reply(ticket, DeleteReply{err}) }))
	}
}

// kill begins the end of a group without members.
func (g *Group) kill() {
	for id := range maps.Clone(g.pending) {
		g.remove(id)
	}
	for _, at := range g.shards() {
		for _, index := range slices.Sorted(maps.Keys(g.part(at).wanted())) {
			g.stage(at.Topic, index, change{gone: true})
		}
	}
	g.deleting, g.next.drop = true, true
	g.transition(Dead)
	g.note("group is deleted")
}

// topicsDeleted forgets the offsets of topics that are gone, not those of another of
// the same name.
func (g *Group) topicsDeleted(gone map[id.Topic]string) {
	if g.deleting {
		return
	}
	n := 0
	for _, at := range g.shards() {
		offsets := g.part(at).wanted()
		for _, index := range slices.Sorted(maps.Keys(offsets)) {
			if name, is := gone[offsets[index].Topic]; is && name == at.Topic {
				g.stage(at.Topic, index, change{gone: true})
				n++
			}
		}
	}
	g.count(CountDeletedOffsets, n)
}

// retention forgets offsets whose time is over, and the group with the last of
// them if it has no members (KIP-211).
func (g *Group) retention() {
	if !g.exists || g.deleting {
		return
	}
	g.timers.Set(timerKey{kind: timerRetention}, g.now.Add(g.cfg.RetentionCheck))
	n := g.expireOffsets()
	if n > 0 {
		g.note("%d offsets expired", n)
		g.count(CountExpiredOffsets, n)
	}
	if g.state == Empty && len(g.pending) == 0 && !g.anyOffset() {
		g.kill()
	}
}

func (g *Group) anyOffset() bool {
	for _, p := range g.parts() {
		if len(p.staged) > 0 || len(p.flight) > 0 {
			if len(p.wanted()) > 0 {
				return true
			}
		} else if len(p.durable) > 0 {
			return true
		}
	}
	return false
}

// expireOffsets stages the end of expired offsets. A group with members keeps
// those of the topics that it reads; what it reads must be known.
func (g *Group) expireOffsets() (n int) {
	byState := g.protocolType != "" && g.state == Empty
	byCommit := g.protocolType == "" || g.protocolType == consumerProtocol && g.topics != nil && g.state == Stable
	if !byState && !byCommit {
		return 0
	}
	for _, at := range g.shards() {
		p, topic := g.part(at), at.Topic
		if g.subscribed(topic) {
			continue
		}
		for _, index := range slices.Sorted(maps.Keys(p.durable)) {
			c := p.durable[index]
			from := c.Committed
			if byState {
				from = g.since
			}
			_, staged := p.staged[index]
			_, flying := p.flight[index]
			if !staged && !flying && g.expired(c, from) {
				g.stage(topic, index, change{gone: true})
				n++
			}
		}
	}
	return n
}
