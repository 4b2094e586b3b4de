package agent

import (
	"encoding/binary"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/wire"
	"varve/partition"
)

// encodeEnds writes the high watermarks of partitions: for each its topic's id, its index
// and the watermark, in package wire's primitives.
func encodeEnds(all []*partition.Partition) []byte {
	b := binary.AppendUvarint(nil, uint64(len(all)))
	for _, p := range all {
		at := p.ID()
		b = append(b, at.Topic[:]...)
		b = binary.AppendVarint(b, int64(at.Index))
		b = binary.AppendVarint(b, p.State().High)
	}
	return b
}

// decodeEnds reads what encodeEnds writes into ends.
func decodeEnds(b []byte, ends map[id.Partition]int64) error {
	r := wire.NewReader(b)
	for n := r.Count(18); n > 0; n-- {
		var at id.Partition
		copy(at.Topic[:], r.Fixed(len(at.Topic)))
		at.Index = int32(r.Varint())
		ends[at] = r.Varint()
	}
	return r.Done()
}

// keepOwned adds to ends what an agent says of the partitions that it owns. An agent that has lost
// a partition and doesn't know it yet would tell an end of the past.
func keepOwned(ends, theirs map[id.Partition]int64, owners map[id.Partition]cluster.Owner, of id.Incarnation) {
	for at, end := range theirs {
		if owners[at].Incarnation == of {
			ends[at] = end
		}
	}
}
