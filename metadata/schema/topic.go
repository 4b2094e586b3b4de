package schema

import (
	"encoding/binary"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/internal/wire"
)

// Topic is a topic's definition. Partitions without a head are new and empty.
type Topic struct {
	ID         id.Topic
	Partitions int32
	Created    time.Time
	Config     Settings // what was set for this topic
}

// Encode writes the value.
func (t Topic) Encode() []byte {
	b := append([]byte{1}, t.ID[:]...)
	b = binary.AppendVarint(b, int64(t.Partitions))
	b = binary.AppendVarint(b, t.Created.UnixMilli())
	return t.Config.append(b)
}

// DecodeTopic reads what Encode writes.
func DecodeTopic(b []byte) (t Topic, err error) {
	err = decode("topic", 1, b, func(r *wire.Reader) {
		copy(t.ID[:], r.Fixed(16))
		t.Partitions = int32(r.Varint())
		t.Created = time.UnixMilli(r.Varint())
		t.Config = readSettings(r)
	})
	if err == nil && t.Partitions < 1 {
		err = &ValueError{"topic", fmt.Errorf("%d partitions", t.Partitions)}
	}
	return t, err
}

// DeletedTopic is a topic whose data still is in the tier.
type DeletedTopic struct {
	Name    string
	Deleted time.Time
	Topic   Topic
	Purged  bool // its heads are being removed: it can't be had back any more (since version 2)
}

// Encode writes the value.
func (d DeletedTopic) Encode() []byte {
	b := wire.AppendString([]byte{2}, d.Name)
	b = binary.AppendVarint(b, d.Deleted.UnixMilli())
	b = wire.AppendBytes(b, d.Topic.Encode())
	return wire.AppendBool(b, d.Purged)
}

// DecodeDeletedTopic reads what Encode writes.
func DecodeDeletedTopic(b []byte) (d DeletedTopic, err error) {
	var topic []byte
	err = decode("deleted topic", 2, b, func(r *wire.Reader) {
		d.Name = r.String()
		d.Deleted = time.UnixMilli(r.Varint())
		topic = r.Bytes()
		d.Purged = b[0] > 1 && r.Bool()
	})
	if err == nil {
		d.Topic, err = DecodeTopic(topic)
	}
	return d, err
}
