// Package oddbatch makes record batches as producers send them and as they shouldn't:
// each codec, each field of the header and of the records wrong in turn, cut off in each
// place, and as old and odd encoders write them. Tests hold a broker's answers to them
// against those of Apache Kafka.
package oddbatch

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"varve/kafka"
)

// Case is what is produced to a topic of its own.
type Case struct {
	Name     string
	Settings map[string]string // of the topic
	Version  int16             // of the produce request
	Records  []byte            // of the one partition
}

// latest is the version of the produce requests of most cases: the last in which topics
// go by their names.
const latest = 12

// hour is one in ms.
const hour = 3_600_000

// All makes every case. Timestamps are around now, in ms.
func All(now int64) []Case {
	m := &maker{now: now}
	for codec := kafka.None; codec <= kafka.Zstd; codec++ {
		m.sound(codec)
		m.framing(codec)
		m.counts(codec)
		m.deltas(codec)
		m.times(codec)
		m.streams(codec)
	}
	m.header()
	m.lengths()
	m.bounds()
	m.conversions()
	m.encoders()
	slices.SortFunc(m.all, func(a, b Case) int { return cmp.Compare(a.Name, b.Name) })
	return m.all
}

// maker gathers cases.
type maker struct {
	now int64
	all []Case
}

func (m *maker) add(name string, records []byte) *Case {
	m.all = append(m.all, Case{Name: name, Version: latest, Records: records})
	return &m.all[len(m.all)-1]
}

func (c *Case) with(settings map[string]string) *Case {
	c.Settings = maps.Clone(settings)
	return c
}

// record is a record to be encoded, with what may be wrong about it.
type record struct {
	time       int64 // delta
	offset     int32 // delta
	attributes byte
	key, value []byte
	keyLen     int32 // if not 0, in place of the key's
	headers    []byte
	size       int32 // added to its size
	longSize   bool  // encode the size in 5 bytes
}

var noHeaders = []byte{0}

func (r *record) append(dst []byte) []byte {
	one := []byte{r.attributes}
	one = binary.AppendVarint(one, r.time)
	one = binary.AppendVarint(one, int64(r.offset))
	one = appendBytes(one, r.key, r.keyLen)
	one = appendBytes(one, r.value, 0)
	one = append(one, r.headers...)
	size := int64(len(one)) + int64(r.size)
	if r.longSize {
		u := uint32(size << 1)
		dst = append(dst, byte(u)|0x80, byte(u>>7)|0x80, 0x80, 0x80, 0)
	} else {
		dst = binary.AppendVarint(dst, size)
	}
	return append(dst, one...)
}

func appendBytes(dst, b []byte, length int32) []byte {
	switch {
	case length != 0:
		return append(binary.AppendVarint(dst, int64(length)), b...)
	case b == nil:
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// three are sound records, a second apart from each other.
func three() []record {
	rs := make([]record, 3)
	for i := range rs {
		rs[i] = record{time: int64(i) * 1000, offset: int32(i), key: fmt.Append(nil, "key", i), value: fmt.Append(nil, "the value number ", i), headers: noHeaders}
	}
	return rs
}

func body(rs []record) (b []byte) {
	for i := range rs {
		b = rs[i].append(b)
	}
	return b
}

// batch makes a batch of an encoded body, whose header tells of three records around now.
func (m *maker) batch(codec kafka.Codec, body []byte, set func(kafka.Batch)) kafka.Batch {
	packed, err := kafka.Compress(codec, nil, body)
	if err != nil {
		panic(err)
	}
	return m.packed(codec, packed, set)
}

// packed is batch with a body that is compressed already.
func (m *maker) packed(codec kafka.Codec, packed []byte, set func(kafka.Batch)) kafka.Batch {
	b := make(kafka.Batch, kafka.BatchHeaderBytes, kafka.BatchHeaderBytes+len(packed))
	b = append(b, packed...)
	put32(b, length, uint32(len(b)-12))
	put32(b, leaderEpoch, 0xffffffff)
	b[magic] = 2
	put16(b, attributes, uint16(codec))
	put32(b, lastDelta, 2)
	put64(b, baseTime, uint64(m.now))
	put64(b, maxTime, uint64(m.now+2000))
	b.SetProducer(-1, -1, -1)
	put32(b, count, 3)
	if set != nil {
		set(b)
	}
	put32(b, crc, kafka.Checksum(b[attributes:]))
	return b
}

// Places in a batch.
const (
	baseOffset  = 0
	length      = 8
	leaderEpoch = 12
	magic       = 16
	crc         = 17
	attributes  = 21
	lastDelta   = 23
	baseTime    = 27
	maxTime     = 35
	count       = 57
)

func put16(b []byte, at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }
func put64(b []byte, at int, v uint64) { binary.BigEndian.PutUint64(b[at:], v) }

// changed makes a batch of three records after change.
func (m *maker) changed(codec kafka.Codec, change func([]record), set func(kafka.Batch)) kafka.Batch {
	rs := three()
	if change != nil {
		change(rs)
	}
	return m.batch(codec, body(rs), set)
}
