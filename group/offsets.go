package group

import (
	"cmp"
	"maps"
	"slices"

	"varve/metadata"
)

// Shard names what is stored under one key: the offsets of metadata.OffsetsShard partitions
// of a topic, from partition N times as many on. A commit rewrites the shards that it
// touches, and no others.
type Shard struct {
	Topic string
	N     int32
}

func shardOf(topic string, partition int32) Shard {
	return Shard{topic, partition / metadata.OffsetsShard}
}

func (s Shard) compare(o Shard) int {
	return cmp.Or(cmp.Compare(s.Topic, o.Topic), cmp.Compare(s.N, o.N))
}

// What a shard takes in the store at most, beside the metadata of its offsets. With the
// largest metadata that is allowed a shard fits into maxShardBytes.
const (
	maxShardBytes  = 1 << 20
	maxValueBytes  = 64 + 16*metadata.OffsetsShard // of a value with no offsets but all their topics' ids
	maxOffsetBytes = 36                            // of one offset, without its metadata
	maxMetadata    = ((maxShardBytes-maxValueBytes)/metadata.OffsetsShard - maxOffsetBytes) / 3
)

// topicOffsets are the offsets of one topic.
type topicOffsets struct {
	shards map[int32]*part
	// mixed says that the value of shard 0 is one of an earlier version, with offsets of
	// other shards. These are written first; meanwhile the end of their last offset is
	// an empty value, since without a value of their own that of shard 0 would count.
	mixed bool
}

// part is one shard's offsets.
type part struct {
	durable     metadata.Offsets
	flight      map[int32]change
	staged      map[int32]change
	flightWaits []*wait
	stagedWaits []*wait
	queued      bool // it is one of the dirty
	size        int  // of what wanted returns, beside maxValueBytes
}

// change is a new value of a partition's offset, or its end.
type change struct {
	gone bool
	metadata.OffsetCommit
}

// part is a shard's offsets, nil if there are none.
func (g *Group) part(at Shard) *part {
	if t := g.topicOffsets[at.Topic]; t != nil {
		return t.shards[at.N]
	}
	return nil
}

// parts are all shards' offsets, in no order.
func (g *Group) parts() map[Shard]*part {
	all := map[Shard]*part{}
	for topic, t := range g.topicOffsets {
		for n, p := range t.shards {
			all[Shard{topic, n}] = p
		}
	}
	return all
}

// shards names what parts returns, in order.
func (g *Group) shards() []Shard {
	return slices.SortedFunc(maps.Keys(g.parts()), Shard.compare)
}

// makePart makes a shard without offsets, or returns the one that is there.
func (g *Group) makePart(at Shard) *part {
	t := g.topicOffsets[at.Topic]
	if t == nil {
		t = &topicOffsets{shards: map[int32]*part{}}
		g.topicOffsets[at.Topic] = t
	}
	p := t.shards[at.N]
	if p == nil {
		p = &part{durable: metadata.Offsets{}}
		t.shards[at.N] = p
	}
	return p
}

// adopt takes the offsets that the store holds. A value of an earlier version is divided
// among the shards that have none of their own, and these are written, shard 0 last.
func (g *Group) adopt(stored map[Shard]metadata.Offsets) {
	var mixed []Shard
	for _, at := range slices.SortedFunc(maps.Keys(stored), Shard.compare) {
		g.makePart(at)
		for partition, c := range stored[at] {
			to := shardOf(at.Topic, partition)
			if to != at && at.N > 0 {
				continue // nothing writes this
			}
			if to != at {
				if !slices.Contains(mixed, at) {
					mixed = append(mixed, at)
				}
				if _, own := stored[to]; own {
					continue
				}
			}
			p := g.makePart(to)
			p.durable[partition] = c
			p.size += offsetSize(c)
			g.offsetsSize += offsetSize(c)
		}
	}
	for _, at := range mixed {
		t := g.topicOffsets[at.Topic]
		t.mixed = true
		for _, n := range slices.Sorted(maps.Keys(t.shards)) {
			if _, own := stored[Shard{at.Topic, n}]; !own {
				g.queue(Shard{at.Topic, n})
			}
		}
		g.queue(at)
	}
	for _, at := range g.shards() {
		if len(g.part(at).durable) == 0 && !g.topicOffsets[at.Topic].mixed {
			g.queue(at) // what a crash left of the above
		}
	}
}

// mixed reports whether there are topics whose shard 0 must be written before something
// else can be deleted.
func (g *Group) mixed() bool {
	for _, t := range g.topicOffsets {
		if t.mixed {
			return true
		}
	}
	return false
}

// unmix is told of each shard that was written.
func (g *Group) unmix(at Shard) {
	if t := g.topicOffsets[at.Topic]; at.N == 0 && t.mixed {
		t.mixed = false
		for _, n := range slices.Sorted(maps.Keys(t.shards)) {
			if p := t.shards[n]; n > 0 && len(p.durable) == 0 {
				g.queue(Shard{at.Topic, n})
			}
		}
	}
}

// tidy forgets a shard without offsets, once nothing of it is to be written.
func (g *Group) tidy(at Shard) {
	t := g.topicOffsets[at.Topic]
	p := g.part(at)
	if p == nil || len(p.durable) > 0 || p.queued || t.mixed {
		return
	}
	delete(t.shards, at.N)
	if len(t.shards) == 0 {
		delete(g.topicOffsets, at.Topic)
	}
}

// queue has a shard written.
func (g *Group) queue(at Shard) {
	if p := g.part(at); !p.queued {
		p.queued = true
		g.dirty = append(g.dirty, at)
	}
}

// stage changes one partition's offset.
func (g *Group) stage(topic string, index int32, c change) {
	at := shardOf(topic, index)
	p := g.makePart(at)
	grows := p.growth(index, c)
	p.size += grows
	g.offsetsSize += grows
	if p.staged == nil {
		p.staged = map[int32]change{}
	}
	p.staged[index] = c
	g.queue(at)
}

// growth is by how many bytes a change makes the shard larger.
func (p *part) growth(index int32, c change) (n int) {
	if !c.gone {
		n = offsetSize(c.OffsetCommit)
	}
	if old, ok := p.latest(index); ok {
		n -= offsetSize(old)
	}
	return n
}

// latest is a partition's offset once all changes are stored.
func (p *part) latest(index int32) (metadata.OffsetCommit, bool) {
	for _, changes := range []map[int32]change{p.staged, p.flight} {
		if c, ok := changes[index]; ok {
			return c.OffsetCommit, !c.gone
		}
	}
	c, ok := p.durable[index]
	return c, ok
}

// offsetSize bounds what an offset takes in the store.
func offsetSize(c metadata.OffsetCommit) int { return maxOffsetBytes + len(c.Metadata) }

// wanted are the offsets once all changes are stored.
func (p *part) wanted() metadata.Offsets {
	o := maps.Clone(p.durable)
	for _, changes := range []map[int32]change{p.flight, p.staged} {
		for index, c := range changes {
			if c.gone {
				delete(o, index)
			} else {
				o[index] = c.OffsetCommit
			}
		}
	}
	return o
}

// apply makes what was in flight durable.
func (p *part) apply() {
	for index, c := range p.flight {
		if c.gone {
			delete(p.durable, index)
		} else {
			p.durable[index] = c.OffsetCommit
		}
	}
}
