package offsets

import (
	"cmp"
	"maps"

	"varve/metadata/schema"
)

// Shard names what is stored under one key: the offsets of schema.OffsetsShard partitions
// of a topic, from partition N times as many on. A commit rewrites the shards that it
// touches, and no others.
type Shard struct {
	Topic string
	N     int32
}

// Shards are some shards.
type Shards map[Shard]struct{}

// ShardOf returns the shard of a partition.
func ShardOf(topic string, partition int32) Shard {
	return Shard{topic, partition / schema.OffsetsShard}
}

// Compare orders shards by topic, then by number.
func (s Shard) Compare(o Shard) int {
	return cmp.Or(cmp.Compare(s.Topic, o.Topic), cmp.Compare(s.N, o.N))
}

// What a shard takes in the store at most, beside the metadata of its offsets. With the
// largest metadata that is allowed a shard fits into maxShardBytes.
const (
	maxShardBytes  = 1 << 20
	maxValueBytes  = 64 + 16*schema.OffsetsShard // of a value with no offsets but all their topics' ids
	maxOffsetBytes = 36                          // of one offset, without its metadata
	maxMetadata    = ((maxShardBytes-maxValueBytes)/schema.OffsetsShard - maxOffsetBytes) / 3
)

// part is one shard's offsets.
type part struct {
	durable     schema.Offsets
	flight      map[int32]change
	staged      map[int32]change
	flightWaits []Waiter
	stagedWaits []Waiter
	queued      bool // it is one of the dirty
	size        int  // of what wanted returns, beside maxValueBytes
}

// change is a new value of a partition's offset, or its end.
type change struct {
	gone bool
	schema.OffsetCommit
}

// growth returns by how many bytes a change makes the shard larger.
func (p *part) growth(partition int32, c change) (n int) {
	if !c.gone {
		n = sizeOf(c.OffsetCommit)
	}
	if old, ok := p.latest(partition); ok {
		n -= sizeOf(old)
	}
	return n
}

// latest returns a partition's offset once all changes are stored.
func (p *part) latest(partition int32) (schema.OffsetCommit, bool) {
	for _, changes := range []map[int32]change{p.staged, p.flight} {
		if c, ok := changes[partition]; ok {
			return c.OffsetCommit, !c.gone
		}
	}
	c, ok := p.durable[partition]
	return c, ok
}

// changing reports whether a partition's offset has changes that aren't stored.
func (p *part) changing(partition int32) bool {
	_, staged := p.staged[partition]
	_, flying := p.flight[partition]
	return staged || flying
}

// sizeOf bounds what an offset takes in the store.
func sizeOf(c schema.OffsetCommit) int { return maxOffsetBytes + len(c.Metadata) }

// wanted returns the offsets once all changes are stored.
func (p *part) wanted() schema.Offsets {
	all := maps.Clone(p.durable)
	for _, changes := range []map[int32]change{p.flight, p.staged} {
		for partition, c := range changes {
			if c.gone {
				delete(all, partition)
			} else {
				all[partition] = c.OffsetCommit
			}
		}
	}
	return all
}

// apply makes what was in flight durable.
func (p *part) apply() {
	for partition, c := range p.flight {
		if c.gone {
			delete(p.durable, partition)
		} else {
			p.durable[partition] = c.OffsetCommit
		}
	}
}
