package object

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/kafka"
	"varve/metadata/schema"
)

var (
	ErrChecksum     = errors.New("checksum does not match")
	ErrInconsistent = errors.New("fields do not add up")
)

// ErrVersion: another release wrote this, and its contents aren't known here. It comes
// within a CorruptError, but nothing is lost.
var ErrVersion = errors.New("the format's version is not known")

// Unseal checks what seal wrote and lets body read between.
func Unseal(magic string, b []byte, body func(*wire.Reader)) error {
	if len(b) < len(magic)+5 || len(b) > MaxSealedBytes || string(b[:len(magic)]) != magic {
		return fmt.Errorf("%d bytes are no %q", len(b), magic)
	}
	end := len(b) - 4
	if kafka.Checksum(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return fmt.Errorf("%q: %w", magic, ErrChecksum)
	}
	if v := b[len(magic)]; v != formatVersion {
		return fmt.Errorf("%q has version %d, known is %d: %w", magic, v, formatVersion, ErrVersion)
	}
	r := wire.NewReader(b[len(magic)+1 : end])
	body(r)
	if err := r.Done(); err != nil {
		return fmt.Errorf("%q: %w", magic, err)
	}
	return nil
}

func checkHeader(b []byte) error {
	if len(b) < headerBytes || string(b[:8]) != magicObject {
		return errors.New("no object of Varve begins here")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return fmt.Errorf("object has version %d, known is %d: %w", v, formatVersion, ErrVersion)
	}
	return nil
}

// DecodeState reads the producers of a slice's state.
func DecodeState(b []byte) (producers []Producer, err error) {
	err = Unseal(magicState, b, func(r *wire.Reader) {
		for n := r.Count(4); n > 0; n-- {
			p := Producer{ID: r.Varint(), Epoch: int16(r.Varint()), Timestamp: r.Varint()}
			for m := r.Count(3); m > 0; m-- {
				p.Batches = append(p.Batches, ProducerBatch{int32(r.Varint()), int32(r.Varint()), r.Varint()})
			}
			producers = append(producers, p)
		}
	})
	if err != nil {
		return nil, err
	}
	return producers, nil
}

// DecodeIndex reads what appendIndex writes. at is where it is in the object.
func DecodeIndex(b []byte, at int64) (*Index, error) {
	x := new(Index)
	err := Unseal(magicIndex, b, func(r *wire.Reader) {
		copy(x.Partition.Topic[:], r.Fixed(16))
		x.Topic = r.String()
		x.Partition.Index = ReadInt32(r)
		x.Base, x.End, x.MinTime, x.MaxTime = r.Varint(), r.Varint(), r.Varint(), r.Varint()
		x.StateAt, x.StateLen = ReadPosition(r), ReadInt32(r)
		for n := r.Count(2); n > 0; n-- {
			x.Epochs = append(x.Epochs, schema.EpochStart{Epoch: id.Epoch(r.Varint()), Start: r.Varint()})
		}
		for n := r.Count(3); n > 0; n-- {
			x.Aborted = append(x.Aborted, Aborted{r.Varint(), r.Varint(), r.Varint()})
		}
		x.Blocks = readBlocks(r, x.Base)
	})
	if err != nil {
		return nil, err
	}
	return x, x.check(at)
}

func readBlocks(r *wire.Reader, end int64) []Block {
	n := r.Count(11)
	blocks := make([]Block, 0, n)
	var at, stamp int64
	for ; n > 0; n-- {
		k := Block{Codec: r.U8()}
		k.Base = end + r.Varint()
		k.End = k.Base + ReadPosition(r)
		k.MaxTime = stamp + r.Varint()
		k.At = at + ReadPosition(r)
		k.Stored, k.Raw = ReadInt32(r), ReadInt32(r)
		k.CRC = r.U32()
		end, stamp, at = k.End, k.MaxTime, k.At+int64(k.Stored)
		blocks = append(blocks, k)
	}
	return blocks
}

// ReadInt32 takes a uvarint that fits a non-negative int32; others read as -1,
// which every check refuses.
func ReadInt32(r *wire.Reader) int32 {
	if v := r.Uvarint(); v <= math.MaxInt32 {
		return int32(v)
	}
	return -1
}

// ReadPosition takes a uvarint that fits a non-negative int64; others read as -1.
func ReadPosition(r *wire.Reader) int64 {
	if v := r.Uvarint(); v <= math.MaxInt64 {
		return int64(v)
	}
	return -1
}

// check proves the invariant, and that everything is before the index.
func (x *Index) check(at int64) error {
	if x.Partition.Index < 0 || x.Base < 0 || x.Base >= x.End || len(x.Blocks) == 0 || len(x.Epochs) == 0 || x.Epochs[0].Start != x.Base {
		return fmt.Errorf("slice of %v at %d to %d: %w", x.Partition, x.Base, x.End, ErrInconsistent)
	}
	if x.StateLen < 0 || x.StateLen > 0 && (x.StateAt < headerBytes || x.StateAt > at-int64(x.StateLen)) {
		return fmt.Errorf("state at %d: %w", x.StateAt, ErrInconsistent)
	}
	for i := 1; i < len(x.Epochs); i++ {
		if e := x.Epochs[i]; e.Epoch <= x.Epochs[i-1].Epoch || e.Start <= x.Epochs[i-1].Start || e.Start >= x.End {
			return fmt.Errorf("epoch %v: %w", e.Epoch, ErrInconsistent)
		}
	}
	end, pos := x.Base, int64(headerBytes)
	for i := range x.Blocks {
		if err := x.Blocks[i].check(end, pos); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
		end, pos = x.Blocks[i].End, x.Blocks[i].At+int64(x.Blocks[i].Stored)
		if i > 0 && x.Blocks[i].At != x.Blocks[i-1].At+int64(x.Blocks[i-1].Stored) {
			return fmt.Errorf("block %d at %d: %w", i, x.Blocks[i].At, ErrInconsistent)
		}
	}
	if end > x.End || pos > at {
		return fmt.Errorf("blocks up to %d in bytes up to %d: %w", end, pos, ErrInconsistent)
	}
	return nil
}

func (k *Block) check(end, pos int64) error {
	switch {
	case k.Codec > codecZstd:
		return fmt.Errorf("codec %d is unknown", k.Codec)
	case k.Base < end || k.End <= k.Base || k.At < pos || k.At > maxObjectBytes:
		return ErrInconsistent
	case k.Stored <= 0 || k.Raw < kafka.BatchHeaderBytes || k.Raw > maxBlockBytes || k.Stored > k.Raw:
		return ErrInconsistent
	case k.Codec == CodecRaw && k.Stored != k.Raw:
		return ErrInconsistent
	}
	return nil
}

// Verify proves the checksum of a block of an object.
func (k *Block) Verify(o schema.Object, stored []byte) error {
	if kafka.Checksum(stored) != k.CRC {
		return &CorruptError{Key(o), k.At, fmt.Errorf("block of %d bytes: %w", k.Stored, ErrChecksum)}
	}
	return nil
}

func decodeFooter(b []byte) (*Footer, error) {
	f := new(Footer)
	var list []schema.Slice
	sense := true
	err := Unseal(magicFooter, b, func(r *wire.Reader) {
		f.Object = schema.Object{Writer: id.Incarnation(r.Uvarint()), Seq: r.Uvarint()}
		f.Created = r.Varint()
		names := make([]string, r.Count(17))
		ids := make([]id.Topic, len(names))
		for i := range names {
			copy(ids[i][:], r.Fixed(16))
			names[i] = r.String()
		}
		f.Slices = make([]FooterSlice, r.Count(2))
		for i := range f.Slices {
			n := r.Uvarint()
			if n >= uint64(len(ids)) {
				sense = false
				return
			}
			f.Slices[i].Topic = names[n]
			f.Slices[i].Partition = id.Partition{Topic: ids[n], Index: ReadInt32(r)}
		}
		list = schema.ReadSlices(r)
	})
	if !sense || err == nil && len(list) != len(f.Slices) {
		return nil, fmt.Errorf("footer: %w", ErrInconsistent)
	}
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		f.Slices[i].Slice = s
	}
	return f, nil
}

// decodeTrailer returns where the footer of an object of this size is.
func decodeTrailer(b []byte, size int64) (at, length int64, err error) {
	if len(b) != trailerBytes || string(b[24:]) != magicObject {
		return 0, 0, errors.New("no object of Varve ends here")
	}
	if kafka.Checksum(b[:20]) != binary.LittleEndian.Uint32(b[20:]) {
		return 0, 0, fmt.Errorf("trailer: %w", ErrChecksum)
	}
	if v := binary.LittleEndian.Uint32(b[16:]); v != formatVersion {
		return 0, 0, fmt.Errorf("object has version %d, known is %d: %w", v, formatVersion, ErrVersion)
	}
	at, length = int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint32(b[8:]))
	if at < headerBytes || length > MaxSealedBytes || at != size-trailerBytes-length {
		return 0, 0, fmt.Errorf("footer of %d bytes at %d: %w", length, at, ErrInconsistent)
	}
	return at, length, nil
}
