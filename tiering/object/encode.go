package object

import (
	"encoding/binary"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/kafka"
	"varve/metadata/schema"
)

func appendHeader(b []byte) []byte {
	b = append(b, magicObject...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// Seal appends magic, version, what body appends, and the checksum of it all.
func Seal(b []byte, magic string, body func([]byte) []byte) []byte {
	from := len(b)
	b = append(b, magic...)
	b = body(append(b, formatVersion))
	return binary.LittleEndian.AppendUint32(b, kafka.Checksum(b[from:]))
}

func appendState(b []byte, producers []Producer) []byte {
	return Seal(b, magicState, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(len(producers)))
		for i := range producers {
			p := &producers[i]
			b = binary.AppendVarint(b, p.ID)
			b = binary.AppendVarint(b, int64(p.Epoch))
			b = binary.AppendVarint(b, p.Timestamp)
			b = binary.AppendUvarint(b, uint64(len(p.Batches)))
			for _, s := range p.Batches {
				b = binary.AppendVarint(b, int64(s.FirstSequence))
				b = binary.AppendVarint(b, int64(s.LastSequence))
				b = binary.AppendVarint(b, s.Base)
			}
		}
		return b
	})
}

func appendIndex(b []byte, x *Index) []byte {
	return Seal(b, magicIndex, func(b []byte) []byte {
		b = append(b, x.Partition.Topic[:]...)
		b = wire.AppendString(b, x.Topic)
		b = binary.AppendUvarint(b, uint64(x.Partition.Index))
		for _, v := range []int64{x.Base, x.End, x.MinTime, x.MaxTime} {
			b = binary.AppendVarint(b, v)
		}
		b = binary.AppendUvarint(b, uint64(x.StateAt))
		b = binary.AppendUvarint(b, uint64(x.StateLen))
		b = binary.AppendUvarint(b, uint64(len(x.Epochs)))
		for _, e := range x.Epochs {
			b = binary.AppendVarint(b, int64(e.Epoch))
			b = binary.AppendVarint(b, e.Start)
		}
		b = binary.AppendUvarint(b, uint64(len(x.Aborted)))
		for _, a := range x.Aborted {
			b = binary.AppendVarint(b, a.ProducerID)
			b = binary.AppendVarint(b, a.First)
			b = binary.AppendVarint(b, a.Last)
		}
		return appendBlocks(b, x.Base, x.Blocks)
	})
}

func appendBlocks(b []byte, end int64, blocks []Block) []byte {
	b = binary.AppendUvarint(b, uint64(len(blocks)))
	var at, stamp int64
	for i := range blocks {
		k := &blocks[i]
		b = append(b, k.Codec)
		b = binary.AppendVarint(b, k.Base-end)
		b = binary.AppendUvarint(b, uint64(k.End-k.Base))
		b = binary.AppendVarint(b, k.MaxTime-stamp)
		b = binary.AppendUvarint(b, uint64(k.At-at))
		b = binary.AppendUvarint(b, uint64(k.Stored))
		b = binary.AppendUvarint(b, uint64(k.Raw))
		b = binary.LittleEndian.AppendUint32(b, k.CRC)
		end, stamp, at = k.End, k.MaxTime, k.At+int64(k.Stored)
	}
	return b
}

func appendFooter(b []byte, f *Footer) []byte {
	return Seal(b, magicFooter, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(f.Object.Writer))
		b = binary.AppendUvarint(b, f.Object.Seq)
		b = binary.AppendVarint(b, f.Created)
		number, topics := numberTopics(f.Slices)
		b = binary.AppendUvarint(b, uint64(len(topics)))
		for _, t := range topics {
			b = append(b, t.Partition.Topic[:]...)
			b = wire.AppendString(b, t.Topic)
		}
		list := make([]schema.Slice, len(f.Slices))
		b = binary.AppendUvarint(b, uint64(len(f.Slices)))
		for i := range f.Slices {
			s := &f.Slices[i]
			b = binary.AppendUvarint(b, number[s.Partition.Topic])
			b = binary.AppendUvarint(b, uint64(s.Partition.Index))
			list[i] = s.Slice
		}
		return schema.AppendSlices(b, list)
	})
}

// numberTopics gives each topic a number and a slice that stands for it.
func numberTopics(slices []FooterSlice) (number map[id.Topic]uint64, first []*FooterSlice) {
	number = map[id.Topic]uint64{}
	for i := range slices {
		s := &slices[i]
		if _, known := number[s.Partition.Topic]; !known {
			number[s.Partition.Topic] = uint64(len(first))
			first = append(first, s)
		}
	}
	return number, first
}

func appendTrailer(b []byte, footerAt int64, footerLen int) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(footerAt))
	b = binary.LittleEndian.AppendUint32(b, uint32(footerLen))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint32(b, kafka.Checksum(b[from:]))
	return append(b, magicObject...)
}
