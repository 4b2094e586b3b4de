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
	errs, accepted, touched := g.stageCommit(e)
	if accepted == 0 {
		g.reply(e.Ticket, CommitReply{Errs: errs})
		return
	}
	values := len(touched)
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
	for at := range touched {
		p := g.part(at)
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
// partitions were, and of which shards.
func (g *Group) stageCommit(e Commit) (errs [][]error, accepted int, touched map[Shard]struct{}) {
	errs = make([][]error, len(e.Topics))
	touched = map[Shard]struct{}{}
	for i, t := range e.Topics {
		errs[i] = make([]error, len(t.Partitions))
		for j, c := range t.Partitions {
			if errs[i][j] = g.admits(t.Topic, c); errs[i][j] != nil {
				continue
			}
			c.Committed = g.now
			if e.Retention > 0 {
				c.Expires = g.now.Add(e.Retention)
			}
			g.stage(t.Topic, c.Partition, change{OffsetCommit: c.OffsetCommit})
			touched[shardOf(t.Topic, c.Partition)] = struct{}{}
			accepted++
		}
	}
	return errs, accepted, touched
}

// admits reports whether there is room for an offset.
func (g *Group) admits(topic string, c CommitPartition) error {
	if characters(c.Metadata) > g.cfg.OffsetMetadataMaxBytes {
		return ErrMetadataTooLarge
	}
	p := g.part(shardOf(topic, c.Partition))
	if p == nil {
		p = &part{}
	}
	grows := p.growth(c.Partition, change{OffsetCommit: c.OffsetCommit})
	if grows > 0 && (g.offsetsSize+grows > g.cfg.OffsetsMaxBytes || p.size+grows > maxShardBytes-maxValueBytes) {
		g.alarm("commits are refused: the group's offsets and their metadata take %d bytes, groups.offsets_max_bytes is %d; delete offsets that nobody needs, or raise it", g.offsetsSize, g.cfg.OffsetsMaxBytes)
		return ErrOffsetsTooLarge
	}
	return nil
}

// characters counts as Kafka's broker does: in UTF-16 code units, as Java's strings.
func characters(s string) (n int) {
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
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
	p := g.part(shardOf(topic, partition))
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
