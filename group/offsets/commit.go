package offsets

import (
	"errors"
	"time"
	"unicode/utf16"

	"varve/metadata/schema"
)

// What a commit of a partition is refused with; each is one of Kafka's errors.
var (
	// ErrMetadataTooLarge: an offset's metadata is longer than allowed.
	ErrMetadataTooLarge = errors.New("the offset metadata is too large")
	// ErrTooLarge: the group's offsets would outgrow what it may have.
	ErrTooLarge = errors.New("the offsets of the group are too large")
)

// CommitTopic are offsets of one topic.
type CommitTopic struct {
	Topic      string
	Partitions []CommitPartition
}

// CommitPartition is one partition's offset; Committed and Expires are set by
// Offsets.Commit.
type CommitPartition struct {
	Partition int32
	schema.OffsetCommit
}

// Commit stages what can be accepted, to be kept for the given time, or for the configured one
// if it is 0. It returns what was refused, in the order of the topics, how many partitions
// were accepted, and of which shards.
func (o *Offsets) Commit(now time.Time, retention time.Duration, topics []CommitTopic) (errs [][]error, accepted int, touched Shards) {
	errs = make([][]error, len(topics))
	touched = Shards{}
	for i, t := range topics {
		errs[i] = make([]error, len(t.Partitions))
		for j, c := range t.Partitions {
			if errs[i][j] = o.admits(t.Topic, c); errs[i][j] != nil {
				continue
			}
			c.Committed = now
			if retention > 0 {
				c.Expires = now.Add(retention)
			}
			o.stage(t.Topic, c.Partition, change{OffsetCommit: c.OffsetCommit})
			touched[ShardOf(t.Topic, c.Partition)] = struct{}{}
			accepted++
		}
	}
	return errs, accepted, touched
}

// admits reports whether there is room for an offset.
func (o *Offsets) admits(topic string, c CommitPartition) error {
	if characters(c.Metadata) > o.cfg.OffsetMetadataMaxBytes {
		return ErrMetadataTooLarge
	}
	p := o.part(ShardOf(topic, c.Partition))
	if p == nil {
		p = &part{}
	}
	grows := p.growth(c.Partition, change{OffsetCommit: c.OffsetCommit})
	if grows > 0 && (o.size+grows > o.cfg.OffsetsMaxBytes || p.size+grows > maxShardBytes-maxValueBytes) {
		return ErrTooLarge
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
