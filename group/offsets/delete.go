package offsets

import (
	"maps"
	"slices"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
)

// TopicPartitions names partitions of one topic.
type TopicPartitions struct {
	Topic      string
	Partitions []int32
}

// Delete stages the end of the offsets that are there. It returns how many are, and adds
// their shards to touched.
func (o *Offsets) Delete(t TopicPartitions, touched Shards) (n int) {
	for _, partition := range t.Partitions {
		at := ShardOf(t.Topic, partition)
		p := o.part(at)
		if p == nil {
			continue
		}
		if _, has := p.latest(partition); has {
			o.stage(t.Topic, partition, change{gone: true})
			touched[at] = struct{}{}
			n++
		}
	}
	return n
}

// DeleteAll stages the end of all offsets.
func (o *Offsets) DeleteAll() {
	for _, at := range o.shards() {
		for _, partition := range slices.Sorted(maps.Keys(o.part(at).wanted())) {
			o.stage(at.Topic, partition, change{gone: true})
		}
	}
}

// DeleteTopics stages the end of the offsets of topics that are gone, given with their
// names, and returns how many there are. Those of another topic of the same name stay.
func (o *Offsets) DeleteTopics(gone map[id.Topic]string) (n int) {
	for _, at := range o.shards() {
		all := o.part(at).wanted()
		for _, partition := range slices.Sorted(maps.Keys(all)) {
			if name, is := gone[all[partition].Topic]; is && name == at.Topic {
				o.stage(at.Topic, partition, change{gone: true})
				n++
			}
		}
	}
	return n
}

// Expire stages the end of durable offsets whose time is over, and returns how many there
// are. The time of an offset without one of its own begins at since, or when it was
// committed if since is zero. Topics that are kept are left alone.
func (o *Offsets) Expire(now, since time.Time, kept func(topic string) bool) (n int) {
	for _, at := range o.shards() {
		if kept(at.Topic) {
			continue
		}
		p := o.part(at)
		for _, partition := range slices.Sorted(maps.Keys(p.durable)) {
			if !p.changing(partition) && !now.Before(o.end(p.durable[partition], since)) {
				o.stage(at.Topic, partition, change{gone: true})
				n++
			}
		}
	}
	return n
}

// Expiry returns when the first durable offset's time is over, reckoned as by Expire; zero if
// there is none.
func (o *Offsets) Expiry(since time.Time) (at time.Time) {
	for _, t := range o.topics {
		for _, p := range t.shards {
			for _, c := range p.durable {
				if end := o.end(c, since); at.IsZero() || end.Before(at) {
					at = end
				}
			}
		}
	}
	return at
}

// end returns when an offset's time is over.
func (o *Offsets) end(c schema.OffsetCommit, since time.Time) time.Time {
	switch {
	case !c.Expires.IsZero():
		return c.Expires
	case since.IsZero():
		return c.Committed.Add(o.cfg.OffsetsRetention)
	}
	return since.Add(o.cfg.OffsetsRetention)
}
