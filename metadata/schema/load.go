package schema

import (
	"encoding/binary"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
)

// Work is what clients ask for, per second: bytes written and read, and the batches
// and reads that they came in.
type Work struct {
	Bytes    int64
	Requests int64
}

// Hot is a partition with much work.
type Hot struct {
	Partition id.Partition
	Work
}

// MaxHot is how many partitions a Load names at most.
const MaxHot = 64

// Load is what an agent has to do.
//
// Invariant: Total is the work of all its partitions, those in Hot among them.
type Load struct {
	Incarnation id.Incarnation
	Partitions  int64 // that it serves
	Total       Work
	Hot         []Hot // those with the most work
}

// Encode writes the value.
func (l Load) Encode() []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(l.Incarnation))
	b = binary.AppendVarint(b, l.Partitions)
	b = l.Total.append(b)
	b = binary.AppendUvarint(b, uint64(len(l.Hot)))
	for _, h := range l.Hot {
		b = append(b, h.Partition.Topic[:]...)
		b = binary.AppendVarint(b, int64(h.Partition.Index))
		b = h.Work.append(b)
	}
	return b
}

// DecodeLoad reads what Encode writes.
func DecodeLoad(b []byte) (l Load, err error) {
	err = decode("load", 1, b, func(r *wire.Reader) {
		l.Incarnation = id.Incarnation(r.Uvarint())
		l.Partitions = r.Varint()
		l.Total = readWork(r)
		for n := r.Count(19); n > 0; n-- {
			var h Hot
			copy(h.Partition.Topic[:], r.Fixed(16))
			h.Partition.Index = int32(r.Varint())
			h.Work = readWork(r)
			l.Hot = append(l.Hot, h)
		}
	})
	if err == nil && len(l.Hot) > MaxHot {
		err = &ValueError{"load", fmt.Errorf("it names %d partitions, at most %d are allowed", len(l.Hot), MaxHot)}
	}
	return l, err
}

func (w Work) append(b []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, w.Bytes), w.Requests)
}

func readWork(r *wire.Reader) Work { return Work{r.Varint(), r.Varint()} }
