package schema

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"varve/internal/id"
	"varve/internal/wire"
)

// OffsetCommit is what a group committed for one partition.
type OffsetCommit struct {
	Offset      int64
	LeaderEpoch id.Epoch // NoEpoch if the client sent none
	Metadata    string
	Committed   time.Time
	Expires     time.Time // zero: by the group's retention
	Topic       id.Topic  // that it is about: its name may be another's later; zero: not known (version 1)
}

// Offsets are a group's commits in one topic, by partition: of one shard, in values of
// earlier versions of all partitions.
type Offsets map[int32]OffsetCommit

// Encode writes the value: the topics' ids, mostly one, and then the commits, which
// name them by number.
func (o Offsets) Encode() []byte {
	partitions := slices.Sorted(maps.Keys(o))
	var topics []id.Topic
	for _, p := range partitions {
		if t := o[p].Topic; !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	b := binary.AppendUvarint([]byte{2}, uint64(len(topics)))
	for _, t := range topics {
		b = append(b, t[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(o)))
	for _, p := range partitions {
		c := o[p]
		b = binary.AppendUvarint(b, uint64(slices.Index(topics, c.Topic)))
		b = binary.AppendVarint(b, int64(p))
		b = binary.AppendVarint(b, c.Offset)
		b = binary.AppendVarint(b, int64(c.LeaderEpoch))
		b = wire.AppendString(b, c.Metadata)
		b = binary.AppendVarint(b, c.Committed.UnixMilli())
		var expires int64
		if !c.Expires.IsZero() {
			expires = c.Expires.UnixMilli()
		}
		b = binary.AppendVarint(b, expires)
	}
	return b
}

// DecodeOffsets reads what Encode writes, and version 1, which had no topics.
func DecodeOffsets(b []byte) (o Offsets, err error) {
	strange := false
	err = decode("offsets", 2, b, func(r *wire.Reader) {
		var topics []id.Topic
		if b[0] > 1 {
			for n := r.Count(len(id.Topic{})); n > 0; n-- {
				var t id.Topic
				copy(t[:], r.Fixed(len(t)))
				topics = append(topics, t)
			}
		}
		n := r.Count(6)
		o = make(Offsets, n)
		for ; n > 0; n-- {
			var topic id.Topic
			if b[0] > 1 {
				if i := r.Uvarint(); i < uint64(len(topics)) {
					topic = topics[i]
				} else {
					strange = true
				}
			}
			p := int32(r.Varint())
			c := OffsetCommit{Topic: topic, Offset: r.Varint(), LeaderEpoch: id.Epoch(r.Varint()), Metadata: r.String(), Committed: time.UnixMilli(r.Varint())}
			if e := r.Varint(); e != 0 {
				c.Expires = time.UnixMilli(e)
			}
			o[p] = c
		}
	})
	if err == nil && strange {
		err = &ValueError{"offsets", errors.New("a commit is of a topic that isn't listed")}
	}
	return o, err
}
