// Package object is the format of the bucket's objects: slices of partitions with their
// blocks, indexes and producer states, the footer that lets an object describe itself, and
// the keys under which objects are.
//
// It promises that what version 1 wrote is read by every later release, that every byte is
// covered by a checksum, and that a length is checked before memory is spent on it. It never
// decides what is written or read, and when.
package object

import (
	"fmt"
	"sort"

	"varve/internal/id"
	"varve/metadata/schema"
)

// Object format, version 1. Fixed-width integers are little-endian; uvarint and
// varint are LEB128, the latter zigzag; string is a uvarint of its length and its
// bytes; checksums are CRC-32C (Castagnoli).
//
//	object = header, slice..., footer, trailer
//	slice  = block..., state, index
//
// Slices stand one behind another without gaps, and so do the parts of a slice.
// An object with slices of many partitions is a bundle, one with a single slice a
// segment; nothing else tells them apart.
//
//	header (16 bytes)
//	 0  magic    8 bytes  "VARVEOBJ"
//	 8  version  uint32   1
//	12  zero     uint32
//
// A block holds whole record batches in Kafka's format 2, exactly as a client
// fetches them (offsets and leader epoch filled in), either as they are or as one
// zstd frame. It is about BlockBytes large before compression; a larger batch is
// a block of its own. Its checksum, in the index, covers the stored bytes.
//
// State and index are sealed: a magic, a version, a body, and the checksum of all
// of that.
//
//	state                                  producers as they were after the slice's last batch
//	  magic      4 bytes  "VSTA"
//	  version    1 byte   1
//	  producers  uvarint, then for each:
//	    id         varint
//	    epoch      varint
//	    timestamp  varint   when its newest batch was appended, ms since 1970
//	    batches    uvarint, oldest first, then for each:
//	      first sequence, last sequence, base offset  varint
//	  checksum   uint32
//
//	index                                  a head's or manifest's Slice points at it
//	  magic      4 bytes  "VIDX"
//	  version    1 byte   1
//	  topic id   16 bytes
//	  topic      string   its name when this was written; "" if unknown
//	  partition  uvarint
//	  base       varint   first offset
//	  end        varint   the offset after the last
//	  min time   varint   smallest timestamp of the batches' first records, ms; others may be older; -1 if none has one
//	  max time   varint   largest timestamp, ms; -1 if none. Of objects whose number is below 2^40 it is a
//	                      hint: producers said so. The same holds for the blocks' and the footer's.
//	  state      uvarint position, uvarint length; length 0: this slice has none, a later one of the same upload has
//	  epochs     uvarint, then for each leader epoch in order:
//	    epoch      varint
//	    start      varint   its first offset here
//	  aborted    uvarint, then for each aborted transaction that overlaps the slice:
//	    producer id, first offset, last offset  varint
//	  blocks     uvarint, then for each, in order:
//	    codec      1 byte   0 as it is, 1 zstd
//	    base       varint   first offset, minus the end of the block before (of the slice's base)
//	    count      uvarint  end offset, minus base
//	    max time   varint   minus that of the block before (0)
//	    position   uvarint  in the object, minus the end of the block before (0)
//	    stored     uvarint  bytes in the object
//	    raw        uvarint  bytes of its record batches
//	    checksum   uint32   of the stored bytes
//	  checksum   uint32
//
//	footer                                 also sealed; with it the object describes itself
//	  magic      4 bytes  "VFTR"
//	  version    1 byte   1
//	  writer     uvarint  incarnation
//	  number     uvarint  unique in the incarnation
//	  created    varint   ms since 1970
//	  topics     uvarint, then for each: 16 bytes id, string name
//	  owners     uvarint, then for each slice: uvarint number of its topic from 0, uvarint partition
//	  slices     as in heads (schema.AppendSlices), in the same order
//	  checksum   uint32
//
//	trailer (32 bytes, the object's last)
//	 0  position of the footer  uint64
//	 8  length of the footer    uint32
//	12  zero                    uint32
//	16  version                 uint32  1
//	20  checksum                uint32  of bytes 0 to 20
//	24  magic                   8 bytes "VARVEOBJ"
//
// A reader that finds a newer version refuses the object. Stores show objects
// whole or not at all, so there is no torn tail; anything that doesn't add up is
// a CorruptError.
const (
	formatVersion = 1
	headerBytes   = 16
	trailerBytes  = 32

	magicObject = "VARVEOBJ"
	magicState  = "VSTA"
	magicIndex  = "VIDX"
	magicFooter = "VFTR"
)

// Limits of the format. What is beyond them is refused before memory is spent.
const (
	// BlockBytes is about how large a block is before compression.
	BlockBytes = 512 << 10
	// maxOpened bounds what a batch is decompressed to when its timestamps must be read.
	maxOpened = 128 << 20
	// maxBlockBytes bounds a block, and so a record batch.
	maxBlockBytes = 1 << 28
	// MaxSealedBytes bounds a state, an index, a footer and a page.
	MaxSealedBytes = 1 << 27
	// maxObjectBytes bounds an object; S3's own limit is 5 TiB.
	maxObjectBytes = 1 << 42
)

// Codecs of blocks.
const (
	CodecRaw  = 0
	codecZstd = 1
)

// Block is a run of whole record batches, the unit of checksums and of
// compression.
type Block struct {
	Codec   uint8
	Base    int64 // first offset
	End     int64 // the offset after the last
	MaxTime int64 // largest timestamp, ms; -1 if none
	At      int64 // position in the object
	Stored  int32 // bytes in the object
	Raw     int32 // bytes of the record batches
	CRC     uint32
}

// Index describes a slice.
//
// Invariant: the blocks are contiguous in the object, in order of offsets, and
// are within [Base, End); the first epoch starts at Base.
type Index struct {
	Partition id.Partition
	Topic     string // name; "" if it wasn't known
	Base, End int64
	MinTime   int64
	MaxTime   int64
	StateAt   int64
	StateLen  int32 // 0: no state
	Epochs    []schema.EpochStart
	Aborted   []Aborted
	Blocks    []Block
}

// From returns the blocks that hold an offset and all after it.
func (x *Index) From(offset int64) []Block {
	return x.Blocks[sort.Search(len(x.Blocks), func(i int) bool { return x.Blocks[i].End > offset }):]
}

// Footer lists what is in an object.
type Footer struct {
	Object  schema.Object
	Created int64 // ms since 1970
	Slices  []FooterSlice
}

// FooterSlice is a slice with the partition it belongs to.
type FooterSlice struct {
	Partition id.Partition
	Topic     string
	schema.Slice
}

// CorruptError is where an object of the tier is not what was written.
type CorruptError struct {
	Key string // the object's
	At  int64  // position in it
	Err error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("object %q is corrupt at byte %d: %v", e.Key, e.At, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }
