package offsets

import (
	"maps"
	"slices"

	"varve/internal/id"
)

// Fetched is a partition's committed offset; Offset is -1 if there is none.
type Fetched struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	ID          id.Topic // of the topic that it was committed for; zero: not known
}

// FetchedTopic are offsets of one topic.
type FetchedTopic struct {
	Topic      string
	Partitions []Fetched
}

// None is what is fetched of a partition that has no offset.
func None(partition int32) Fetched {
	return Fetched{Partition: partition, Offset: -1, LeaderEpoch: -1}
}

// Get returns the durable offset of one partition.
func (o *Offsets) Get(topic string, partition int32) Fetched {
	if p := o.part(ShardOf(topic, partition)); p != nil {
		if c, ok := p.durable[partition]; ok {
			return Fetched{partition, c.Offset, int32(c.LeaderEpoch), c.Metadata, c.Topic}
		}
	}
	return None(partition)
}

// Fetch returns the durable offsets of partitions; of all that have one if topics is nil.
func (o *Offsets) Fetch(topics []TopicPartitions) []FetchedTopic {
	if topics == nil {
		topics = o.All()
	}
	out := make([]FetchedTopic, len(topics))
	for i, t := range topics {
		out[i].Topic = t.Topic
		for _, partition := range t.Partitions {
			out[i].Partitions = append(out[i].Partitions, o.Get(t.Topic, partition))
		}
	}
	return out
}

// All returns the partitions with durable offsets, in order.
func (o *Offsets) All() (all []TopicPartitions) {
	for _, name := range slices.Sorted(maps.Keys(o.topics)) {
		t := TopicPartitions{Topic: name}
		for _, p := range o.topics[name].shards {
			t.Partitions = slices.AppendSeq(t.Partitions, maps.Keys(p.durable))
		}
		if len(t.Partitions) > 0 {
			slices.Sort(t.Partitions)
			all = append(all, t)
		}
	}
	return all
}

// Committed is how far a group got in one partition.
type Committed struct {
	Topic     string
	ID        id.Topic // that it was committed for; zero: not known
	Partition int32
	Offset    int64
}

// Progress returns what is durable in little memory.
func (o *Offsets) Progress() (all []Committed) {
	for _, t := range o.All() {
		for _, partition := range t.Partitions {
			if f := o.Get(t.Topic, partition); f.Offset >= 0 {
				all = append(all, Committed{t.Topic, f.ID, partition, f.Offset})
			}
		}
	}
	return all
}
