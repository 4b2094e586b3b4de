package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"varve/internal/id"
	"varve/internal/vfs"
)

// The files of a journal, format version 1. Integers are little-endian.
//
// A journal is a row of files of one size, "<journal>.<file>.wal" with the file's
// number from 0 in eight hex digits. Each begins with one block of header:
//
//	 0 magic    "VARVEWAL"
//	 8 version  uint32  1
//	12 file     uint32  number in the journal
//	16 writer   uint64  the journal's id
//	24 seq      uint32
//	28 size     uint32  of the file in bytes
//	32 crc      uint32  CRC-32C of bytes 0 to 31
//
// Entries follow, each beginning at a block boundary (4 KiB) and padded to one:
//
//	+--------------------+ 0
//	| header, 64 bytes   |
//	+--------------------+ 64
//	| bodies of appends, |
//	| one after another  |
//	+--------------------+ directory offset
//	| directory: records |
//	| of 96 bytes each   |
//	+--------------------+ directory offset + directory length
//	| zeroes             |
//	+--------------------+ length
//
//	 0 magic      "VENT"
//	 4 version    uint8   1
//	 5 zero       3 bytes
//	 8 writer     uint64  the journal's id: what a recycled file still holds
//	16 seq        uint32          of another journal never counts
//	20 length     uint32  of the entry, a multiple of the block
//	24 number     uint64  of the entry in the journal, from 1
//	32 position   uint64  file number << 32 | offset in the file
//	40 durable    uint64  highest number known to be durable when this was written
//	48 directory  uint32  its offset in the entry
//	52 directory  uint32  its length in bytes
//	56 crc        uint32  CRC-32C of the directory
//	60 crc        uint32  CRC-32C of bytes 0 to 59
//
// The directory stands after the bodies, not before them: a body's place is
// then final as soon as it is copied, and the header, written last, holds where
// the directory is. A body carries its own CRC-32C from byte 21 on (a record
// batch's); the directory holds that and one of the bytes before, so that every
// byte is covered and none is summed twice. The layout of a directory's record
// is at Record.
//
// What a disk may do: keep or lose each block that was not synced, in any order.
// An entry is written by one call and synced before the next is written. So the
// first number that is missing or damaged ends the journal, unless an intact
// entry after it shows that the number was durable: that is damage, not a torn
// tail, and recovery refuses to guess. Old data after the end never counts,
// for it has another id, or a position or number that does not follow.
//
// When a file is full and its entries are committed, their directories are
// written again, one after another, to "<journal>.<file>.idx", so that a
// start reads those instead of the file.
//
// Files are trimmed from the front; the numbers of what is left have no gap. A copy
// that lacked what its source had trimmed begins at a floor, which is in its meta
// file: the entry that stands first in a file. Files below it don't count.
const (
	blockBytes       = vfs.BlockBytes
	formatVersion    = 1
	fileMagic        = "VARVEWAL"
	entryMagic       = uint32('V') | 'E'<<8 | 'N'<<16 | 'T'<<24
	entryHeaderBytes = 64
	// RecordBytes is the size of a record in a directory.
	RecordBytes = 96
	// BodySumFrom is the byte of a body from which its own checksum counts.
	BodySumFrom = 21
	// flagTimeKnown is a bit of a record's flags.
	flagTimeKnown = 1
	// MaxFileBytes is the largest size of a file; positions hold no more.
	MaxFileBytes = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Pos is a place in a journal: the file's number and the offset in the file.
// Later places are larger.
type Pos uint64

// Distance is how many bytes of files are between q and the later place p.
func (p Pos) Distance(q Pos, fileBytes int64) int64 {
	return int64(p.file()-q.file())*fileBytes + p.off() - q.off()
}

// First is where a journal's first entry is.
const First = Pos(blockBytes)

func makePos(file uint32, off int64) Pos { return Pos(uint64(file)<<32 | uint64(off)) }

func (p Pos) file() uint32   { return uint32(p >> 32) }
func (p Pos) off() int64     { return int64(uint32(p)) }
func (p Pos) String() string { return fmt.Sprintf("%08x:%d", p.file(), p.off()) }

// Record describes an append, so that its bytes needn't be read.
//
//	 0 topic           16 bytes
//	16 partition       int32
//	20 leader epoch    int32
//	24 base offset     int64
//	32 last delta      int32    last offset - base offset
//	36 records         int32
//	40 body offset     uint32   in the entry
//	44 body size       uint32
//	48 body crc        uint32   of the body from byte 21
//	52 head crc        uint32   of the body's bytes 0 to 20
//	56 producer id     int64
//	64 base sequence   int32
//	68 producer epoch  int16
//	70 attributes      uint16   of the record batch
//	72 base timestamp  int64    ms
//	80 max timestamp   int64    ms
//	88 flags           uint32   bit 0: max timestamp is that of the records; else the producer said so
//	92 zero            uint32
type Record struct {
	Partition     id.Partition
	Epoch         id.Epoch
	Base          int64
	LastDelta     int32
	Count         int32
	BodyAt        uint32 // in the entry
	Size          uint32
	BodyCRC       uint32
	headCRC       uint32
	ProducerID    int64
	BaseSequence  int32
	ProducerEpoch int16
	Attributes    uint16
	BaseTime      int64
	MaxTime       int64
	// TimeKnown reports whether MaxTime is that of the records, and not just what the
	// producer wrote into the header.
	TimeKnown bool
}

// End is the offset after the append.
func (r *Record) End() int64 { return r.Base + int64(r.LastDelta) + 1 }

func appendRecord(dst []byte, r *Record) []byte {
	le := binary.LittleEndian
	dst = append(dst, r.Partition.Topic[:]...)
	dst = le.AppendUint32(dst, uint32(r.Partition.Index))
	dst = le.AppendUint32(dst, uint32(r.Epoch))
	dst = le.AppendUint64(dst, uint64(r.Base))
	dst = le.AppendUint32(dst, uint32(r.LastDelta))
	dst = le.AppendUint32(dst, uint32(r.Count))
	dst = le.AppendUint32(dst, r.BodyAt)
	dst = le.AppendUint32(dst, r.Size)
	dst = le.AppendUint32(dst, r.BodyCRC)
	dst = le.AppendUint32(dst, r.headCRC)
	dst = le.AppendUint64(dst, uint64(r.ProducerID))
	dst = le.AppendUint32(dst, uint32(r.BaseSequence))
	dst = le.AppendUint16(dst, uint16(r.ProducerEpoch))
	dst = le.AppendUint16(dst, r.Attributes)
	dst = le.AppendUint64(dst, uint64(r.BaseTime))
	dst = le.AppendUint64(dst, uint64(r.MaxTime))
	var flags uint64
	if r.TimeKnown {
		flags |= flagTimeKnown
	}
	return le.AppendUint64(dst, flags)
}

func (r *Record) parse(b []byte) {
	le := binary.LittleEndian
	copy(r.Partition.Topic[:], b)
	r.Partition.Index = int32(le.Uint32(b[16:]))
	r.Epoch = id.Epoch(le.Uint32(b[20:]))
	r.Base = int64(le.Uint64(b[24:]))
	r.LastDelta = int32(le.Uint32(b[32:]))
	r.Count = int32(le.Uint32(b[36:]))
	r.BodyAt = le.Uint32(b[40:])
	r.Size = le.Uint32(b[44:])
	r.BodyCRC = le.Uint32(b[48:])
	r.headCRC = le.Uint32(b[52:])
	r.ProducerID = int64(le.Uint64(b[56:]))
	r.BaseSequence = int32(le.Uint32(b[64:]))
	r.ProducerEpoch = int16(le.Uint16(b[68:]))
	r.Attributes = le.Uint16(b[70:])
	r.BaseTime = int64(le.Uint64(b[72:]))
	r.MaxTime = int64(le.Uint64(b[80:]))
	r.TimeKnown = le.Uint32(b[88:])&flagTimeKnown != 0
}

// header is an entry's header.
type header struct {
	journal id.Journal
	length  uint32
	number  uint64
	pos     Pos
	durable uint64
	dirAt   uint32
	dirLen  uint32
	dirCRC  uint32
}

func (h *header) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b, entryMagic)
	le.PutUint32(b[4:], formatVersion)
	le.PutUint64(b[8:], uint64(h.journal.Writer))
	le.PutUint32(b[16:], h.journal.Seq)
	le.PutUint32(b[20:], h.length)
	le.PutUint64(b[24:], h.number)
	le.PutUint64(b[32:], uint64(h.pos))
	le.PutUint64(b[40:], h.durable)
	le.PutUint32(b[48:], h.dirAt)
	le.PutUint32(b[52:], h.dirLen)
	le.PutUint32(b[56:], h.dirCRC)
	le.PutUint32(b[60:], sum(b[:60]))
}

// parseHeader reads an entry's header and checks it in itself: no field of the
// result can lead out of length, and length not over limit.
func parseHeader(b []byte, limit int64) (h header, err error) {
	le := binary.LittleEndian
	if len(b) < entryHeaderBytes || le.Uint32(b) != entryMagic {
		return h, errNoEntry
	}
	if le.Uint32(b[60:]) != sum(b[:60]) {
		return h, fmt.Errorf("header checksum: %w", errNoEntry)
	}
	if v := le.Uint32(b[4:]); v != formatVersion {
		return h, fmt.Errorf("version %d, this program knows %d", v, formatVersion)
	}
	h = header{
		journal: id.Journal{Writer: id.Incarnation(le.Uint64(b[8:])), Seq: le.Uint32(b[16:])},
		length:  le.Uint32(b[20:]),
		number:  le.Uint64(b[24:]),
		pos:     Pos(le.Uint64(b[32:])),
		durable: le.Uint64(b[40:]),
		dirAt:   le.Uint32(b[48:]),
		dirLen:  le.Uint32(b[52:]),
		dirCRC:  le.Uint32(b[56:]),
	}
	bad := h.length%blockBytes != 0 || h.length == 0 || int64(h.length) > limit ||
		h.dirAt < entryHeaderBytes || h.dirLen == 0 || h.dirLen%RecordBytes != 0 ||
		uint64(h.dirAt)+uint64(h.dirLen) > uint64(h.length)
	if bad {
		return h, fmt.Errorf("header fields do not add up: %w", errNoEntry)
	}
	return h, nil
}

// Entry is an entry without its bodies.
type Entry struct {
	Number  uint64
	Pos     Pos
	Length  uint32
	Records []Record
}

// Place is where the body of r, one of e's records, begins.
func (e *Entry) Place(r *Record) Pos { return e.Pos + Pos(r.BodyAt) }

// parseDirectory checks and reads the records of an entry.
func parseDirectory(dst []Record, h *header, dir []byte) ([]Record, error) {
	if sum(dir) != h.dirCRC {
		return nil, fmt.Errorf("directory checksum: %w", errNoEntry)
	}
	return parseRecords(dst, h.dirAt, dir)
}

// parseRecords reads the records of an entry; bodies must be between the header and
// the directory.
func parseRecords(dst []Record, dirAt uint32, dir []byte) ([]Record, error) {
	for ; len(dir) > 0; dir = dir[RecordBytes:] {
		var r Record
		r.parse(dir)
		if r.BodyAt < entryHeaderBytes || r.Size < BodySumFrom || uint64(r.BodyAt)+uint64(r.Size) > uint64(dirAt) || r.LastDelta < 0 {
			return nil, fmt.Errorf("a record leads out of its entry: %w", errNoEntry)
		}
		dst = append(dst, r)
	}
	return dst, nil
}

// checkBodies compares every body with the checksums of its record.
func checkBodies(entry []byte, records []Record) error {
	for i := range records {
		r := &records[i]
		body := entry[r.BodyAt : r.BodyAt+r.Size]
		if sum(body[:BodySumFrom]) != r.headCRC || sum(body[BodySumFrom:]) != r.BodyCRC {
			return fmt.Errorf("checksum of append %d: %w", i, errNoEntry)
		}
	}
	return nil
}

func putFileHeader(b []byte, j id.Journal, file uint32, size int64) {
	le := binary.LittleEndian
	copy(b, fileMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], file)
	le.PutUint64(b[16:], uint64(j.Writer))
	le.PutUint32(b[24:], j.Seq)
	le.PutUint32(b[28:], uint32(size))
	le.PutUint32(b[32:], sum(b[:32]))
}

func parseFileHeader(b []byte) (j id.Journal, file uint32, size int64, err error) {
	le := binary.LittleEndian
	if len(b) < 36 || string(b[:8]) != fileMagic {
		return j, 0, 0, fmt.Errorf("no journal file: %w", errNoEntry)
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return j, 0, 0, fmt.Errorf("version %d, this program knows %d", v, formatVersion)
	}
	if le.Uint32(b[32:]) != sum(b[:32]) {
		return j, 0, 0, fmt.Errorf("file header checksum: %w", errNoEntry)
	}
	j = id.Journal{Writer: id.Incarnation(le.Uint64(b[16:])), Seq: le.Uint32(b[24:])}
	return j, le.Uint32(b[12:]), int64(le.Uint32(b[28:])), nil
}

func alignUp(n int64) int64 { return (n + blockBytes - 1) &^ (blockBytes - 1) }
