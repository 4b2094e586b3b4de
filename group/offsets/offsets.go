// Package offsets keeps a group's committed offsets, as a pure part of any kind of group:
// it accepts commits, forgets offsets that expire or are deleted, returns what of that is to be
// stored, and shows what is durable.
//
// It promises that an offset is shown only once it is durable; that a commit rewrites only the
// shards that it touches; that what is stored fits the metadata store's transactions; and that
// the offsets of a group are bounded. It does no I/O, reads no clock, and knows nothing of
// members: the group decides whether a client may commit.
//
// Sources: Apache Kafka's group coordinator; KIP-211, KIP-496.
package offsets

import (
	"maps"
	"slices"

	"varve/metadata/schema"
)

// Waiter names a request that waits for changes to be durable. It is the group's.
type Waiter uint64

// Offsets are the committed offsets of one group. Changes gather while others are being
// stored, and are stored next: any number of commits cost a group one transaction at a time,
// in order. Only one goroutine may use it at a time.
type Offsets struct {
	cfg    *Config
	topics map[string]*topic
	size   int     // of all offsets once all changes are stored
	dirty  []Shard // to be stored, oldest first
	flight []Shard // being stored
}

// topic are the offsets of one topic.
type topic struct {
	shards map[int32]*part
	// mixed is set if the value of shard 0 is one of an earlier version, with offsets of
	// other shards. These are written first; meanwhile the end of their last offset is
	// an empty value, since without a value of their own that of shard 0 would count.
	mixed bool
}

// New makes offsets of which there are none. cfg must stay as it is.
func New(cfg *Config) *Offsets { return &Offsets{cfg: cfg, topics: map[string]*topic{}} }

// Load makes offsets of what the store holds. A value of an earlier version is divided
// among the shards that have none of their own, and these are stored, shard 0 last.
func Load(cfg *Config, stored map[Shard]schema.Offsets) *Offsets {
	o := New(cfg)
	var mixed []Shard
	for _, at := range slices.SortedFunc(maps.Keys(stored), Shard.Compare) {
		o.makePart(at)
		for partition, c := range stored[at] {
			to := ShardOf(at.Topic, partition)
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
			p := o.makePart(to)
			p.durable[partition] = c
			p.size += sizeOf(c)
			o.size += sizeOf(c)
		}
	}
	for _, at := range mixed {
		t := o.topics[at.Topic]
		t.mixed = true
		for _, n := range slices.Sorted(maps.Keys(t.shards)) {
			if _, own := stored[Shard{at.Topic, n}]; !own {
				o.queue(Shard{at.Topic, n})
			}
		}
		o.queue(at)
	}
	for _, at := range o.shards() {
		if len(o.part(at).durable) == 0 && !o.topics[at.Topic].mixed {
			o.queue(at) // what a crash left of the above
		}
	}
	return o
}

// Any reports whether there are offsets once all changes are stored.
func (o *Offsets) Any() bool { return o.size > 0 }

// Size bounds what the offsets take in the store once all changes are stored, in bytes.
func (o *Offsets) Size() int { return o.size }

// Empty reports whether nothing is known of any topic, and so nothing is stored.
func (o *Offsets) Empty() bool { return len(o.topics) == 0 }

// part returns a shard's offsets, nil if there are none.
func (o *Offsets) part(at Shard) *part {
	if t := o.topics[at.Topic]; t != nil {
		return t.shards[at.N]
	}
	return nil
}

// shards returns the shards that there are, in order.
func (o *Offsets) shards() (all []Shard) {
	for name, t := range o.topics {
		for n := range t.shards {
			all = append(all, Shard{name, n})
		}
	}
	slices.SortFunc(all, Shard.Compare)
	return all
}

// makePart makes a shard without offsets, or returns the one that is there.
func (o *Offsets) makePart(at Shard) *part {
	t := o.topics[at.Topic]
	if t == nil {
		t = &topic{shards: map[int32]*part{}}
		o.topics[at.Topic] = t
	}
	p := t.shards[at.N]
	if p == nil {
		p = &part{durable: schema.Offsets{}}
		t.shards[at.N] = p
	}
	return p
}

// queue has a shard stored.
func (o *Offsets) queue(at Shard) {
	if p := o.part(at); !p.queued {
		p.queued = true
		o.dirty = append(o.dirty, at)
	}
}

// stage changes one partition's offset.
func (o *Offsets) stage(topic string, partition int32, c change) {
	at := ShardOf(topic, partition)
	p := o.makePart(at)
	grows := p.growth(partition, c)
	p.size += grows
	o.size += grows
	if p.staged == nil {
		p.staged = map[int32]change{}
	}
	p.staged[partition] = c
	o.queue(at)
}
