package group

import (
	"time"
	"unicode/utf16"

	"varve/internal/id"
	"varve/metadata"
)

// commit is OffsetCommit.
func (g *Group) commit(e Commit) {
	if err := g.checkCommit(e); err != nil {
		g.reply(e.Ticket, CommitReply{Err: err})
		return
	}
	if !g.exists {
		g.create()
		g.note("group is made by a commit without members")
	}
	if m := g.byID[e.MemberID]; m != nil {
		g.extend(m, m.session)
	}
	errs, accepted, topics := g.stageCommit(e)
	if accepted == 0 {
		g.reply(e.Ticket, CommitReply{Errs: errs})
		return
	}
	values := len(topics)
	if !g.recorded {
		values++
	}
	ticket := e.Ticket
	w := g.newWait(values, func(err error) {
		if err != nil {
			g.reply(ticket, CommitReply{Err: err})
			return
		}
		g.count(CountCommits, accepted)
		g.reply(ticket, CommitReply{Errs: errs})
	})
	for topic := range topics {
		p := g.parts[topic]
		p.stagedWaits = append(p.stagedWaits, w)
	}
	if !g.recorded {
		g.recorded = true
		g.next.record = g.record(nil)
		g.next.waits = append(g.next.waits, w)
	}
}

// checkCommit says whether who commits may.
func (g *Group) checkCommit(e Commit) error {
	if g.deleting {
		return ErrAway
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

// stageCommit stages what can be accepted and says what was not, how many
// partitions were, and of which topics.
func (g *Group) stageCommit(e Commit) (errs [][]error, accepted int, topics map[string]struct{}) {
	errs = make([][]error, len(e.Topics))
	topics = map[string]struct{}{}
	for i, t := range e.Topics {
		errs[i] = make([]error, len(t.Partitions))
		size := 0
		if p := g.parts[t.Topic]; p != nil {
			size = sizeOf(p.wanted())
		}
		for j, c := range t.Partitions {
			size += maxOffsetBytes + len(c.Metadata)
			switch {
			case characters(c.Metadata) > g.cfg.OffsetMetadataMaxBytes:
				errs[i][j] = ErrMetadataTooLarge
				continue
			case size > maxTopicBytes && !g.fits(t.Topic, c):
				errs[i][j] = ErrOffsetsTooLarge
				continue
			}
			c.Committed = g.now
			if e.Retention > 0 {
				c.Expires = g.now.Add(e.Retention)
			}
			g.stage(t.Topic, c.Partition, change{OffsetCommit: c.OffsetCommit})
			topics[t.Topic] = struct{}{}
			accepted++
		}
	}
	return errs, accepted, topics
}

// characters counts as Kafka's broker does: in UTF-16 code units, as Java's strings.
func characters(s string) (n int) {
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// fits reckons exactly, since most commits replace what is there.
func (g *Group) fits(topic string, c CommitPartition) bool {
	o := metadata.Offsets{}
	if p := g.parts[topic]; p != nil {
		o = p.wanted()
	}
	o[c.Partition] = c.OffsetCommit
	return sizeOf(o) <= maxTopicBytes
}

// Fetched is a partition's committed offset; Offset is -1 if there is none.
type Fetched struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	topic       id.Topic // that it was committed for
}

func noOffset(partition int32) Fetched {
	return Fetched{Partition: partition, Offset: -1, LeaderEpoch: -1}
}

// Offset is the durable offset of one partition.
func (g *Group) Offset(topic string, partition int32) Fetched {
	p := g.parts[topic]
	if p == nil || g.deleting {
		return noOffset(partition)
	}
	c, ok := p.durable[partition]
	if !ok {
		return noOffset(partition)
	}
	return Fetched{partition, c.Offset, int32(c.LeaderEpoch), c.Metadata, c.Topic}
}

// expired says whether a durable offset's time is over.
func (g *Group) expired(c metadata.OffsetCommit, from time.Time) bool {
	if !c.Expires.IsZero() {
		return !g.now.Before(c.Expires)
	}
	return !g.now.Before(from.Add(g.cfg.OffsetsRetention))
}
