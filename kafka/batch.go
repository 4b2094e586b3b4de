// Package kafka is the wire: frames, request and response headers, record
// batches and their compression, and the error codes of Apache Kafka's
// protocol. Messages are franz-go's kmsg.
//
// It promises that nothing read from a peer is believed before it is checked,
// and that no check costs more memory than the bytes that were received, or the
// limit that the caller names for decompression. It never keeps state.
package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A record batch (message format 2, KIP-98), big-endian:
//
//	 0 base offset          int64    written by the broker
//	 8 batch length         int32    bytes from 12 on
//	12 partition epoch      int32    leader epoch, written by the broker
//	16 magic                int8     2
//	17 crc                  uint32   CRC-32C of everything from 21 on
//	21 attributes           int16    bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
//	23 last offset delta    int32
//	27 base timestamp       int64
//	35 max timestamp        int64
//	43 producer id          int64
//	51 producer epoch       int16
//	53 base sequence        int32
//	57 records count        int32
//	61 records
const (
	BatchHeaderBytes = 61
	batchLengthEnd   = 12 // what the batch length doesn't count
	crcFrom          = 21
)

// Attribute bits of a batch.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDefined       = 0x7f // 0x40 is the delete horizon (KIP-534)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one whole record batch, or at least its header.
type Batch []byte

// Accessors of the header's fields. They need BatchHeaderBytes bytes.

func (b Batch) BaseOffset() int64     { return int64(binary.BigEndian.Uint64(b)) }
func (b Batch) LeaderEpoch() int32    { return int32(binary.BigEndian.Uint32(b[12:])) }
func (b Batch) Magic() int8           { return int8(b[16]) }
func (b Batch) CRC() uint32           { return binary.BigEndian.Uint32(b[17:]) }
func (b Batch) Attributes() int16     { return int16(binary.BigEndian.Uint16(b[21:])) }
func (b Batch) LastDelta() int32      { return int32(binary.BigEndian.Uint32(b[23:])) }
func (b Batch) BaseTimestamp() int64  { return int64(binary.BigEndian.Uint64(b[27:])) }
func (b Batch) MaxTimestamp() int64   { return int64(binary.BigEndian.Uint64(b[35:])) }
func (b Batch) ProducerID() int64     { return int64(binary.BigEndian.Uint64(b[43:])) }
func (b Batch) ProducerEpoch() int16  { return int16(binary.BigEndian.Uint16(b[51:])) }
func (b Batch) BaseSequence() int32   { return int32(binary.BigEndian.Uint32(b[53:])) }
func (b Batch) Count() int32          { return int32(binary.BigEndian.Uint32(b[57:])) }
func (b Batch) Codec() Codec          { return Codec(b.Attributes() & attrCodec) }
func (b Batch) IsLogAppendTime() bool { return b.Attributes()&attrLogAppendTime != 0 }
func (b Batch) IsTransactional() bool { return b.Attributes()&attrTransactional != 0 }
func (b Batch) IsControl() bool       { return b.Attributes()&attrControl != 0 }

// LastOffset is the offset of the last record, or of the last that was there
// before compaction.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastDelta()) }

// NextOffset is the offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// Size is the size in bytes that the header claims.
func (b Batch) Size() int { return int(int32(binary.BigEndian.Uint32(b[8:]))) + batchLengthEnd }

// LastSequence is the sequence number of the last record; sequences wrap from
// 2^31-1 to 0.
func (b Batch) LastSequence() int32 {
	return AddSequence(b.BaseSequence(), b.LastDelta())
}

// AddSequence adds to a sequence number, wrapping from 2^31-1 to 0.
func AddSequence(seq, delta int32) int32 {
	return int32((int64(seq) + int64(delta)) & 0x7fffffff)
}

// SetBaseOffset and SetLeaderEpoch write in place; the CRC doesn't cover them.
func (b Batch) SetBaseOffset(o int64) { binary.BigEndian.PutUint64(b, uint64(o)) }

// SetLeaderEpoch writes the partition's epoch in place.
func (b Batch) SetLeaderEpoch(e int32) { binary.BigEndian.PutUint32(b[12:], uint32(e)) }

// SetMaxTimestamp writes the largest timestamp, and whether it is the time of the append
// that counts for every record. It corrects the CRC if that changes anything. Attributes
// that are not defined are then dropped, as by Kafka.
func (b Batch) SetMaxTimestamp(ms int64, logAppendTime bool) {
	if b.MaxTimestamp() == ms && b.IsLogAppendTime() == logAppendTime {
		return
	}
	attributes := b.Attributes() & attrDefined &^ attrLogAppendTime
	if logAppendTime {
		attributes |= attrLogAppendTime
	}
	binary.BigEndian.PutUint16(b[21:], uint16(attributes))
	binary.BigEndian.PutUint64(b[35:], uint64(ms))
	b.seal()
}

func (b Batch) seal() { binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[crcFrom:], castagnoli)) }

// Errors of a batch; each maps to one Kafka error code.
var (
	ErrCorrupt       = errors.New("record batch is corrupt")               // CORRUPT_MESSAGE
	ErrInvalidRecord = errors.New("invalid record batch")                  // INVALID_RECORD
	ErrCodec         = errors.New("record batch has an unknown codec")     // UNSUPPORTED_COMPRESSION_TYPE
	ErrTooLarge      = errors.New("record batch is larger than permitted") // MESSAGE_TOO_LARGE
)

// Next takes the first whole batch off the front of b; its length is checked,
// nothing else. A front that holds no whole batch is ErrCorrupt.
func Next(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) < BatchHeaderBytes {
		return nil, nil, fmt.Errorf("%d bytes are no batch: %w", len(b), ErrCorrupt)
	}
	n := Batch(b).Size()
	if n < BatchHeaderBytes || n > len(b) {
		return nil, nil, fmt.Errorf("a batch of %d bytes in %d: %w", n, len(b), ErrCorrupt)
	}
	return Batch(b[:n:n]), b[n:], nil
}

// One returns the one batch that the records of a produce request must be (KIP-98). What
// comes after it and is no whole batch is left out, and the errors are as in Kafka's
// broker: a front that is no whole batch is ErrInvalidRecord, as is a second batch; a
// length or format that can't be is ErrCorrupt.
func One(records []byte) (Batch, error) {
	n, err := wholeBatch(records)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%d bytes hold no whole record batch: %w", len(records), ErrInvalidRecord)
	}
	b := Batch(records[:n:n])
	if b.Magic() != 2 {
		return nil, fmt.Errorf("format %d, only 2 is allowed: %w", b.Magic(), ErrInvalidRecord)
	}
	if n < BatchHeaderBytes {
		return nil, fmt.Errorf("a batch of %d bytes: %w", n, ErrCorrupt)
	}
	switch second, err := wholeBatch(records[n:]); {
	case err != nil:
		return nil, err
	case second != 0:
		return nil, fmt.Errorf("more than one record batch: %w", ErrInvalidRecord)
	}
	return b, nil
}

const (
	magicAt     = 16
	leastLength = 14 // what follows the length of the shortest message of format 0
)

// wholeBatch returns the size of the batch at the front of b, or 0 if it isn't all there.
func wholeBatch(b []byte) (int, error) {
	if len(b) < batchLengthEnd {
		return 0, nil
	}
	n := Batch(b).Size()
	if n < leastLength+batchLengthEnd {
		return 0, fmt.Errorf("a batch length of %d: %w", n-batchLengthEnd, ErrCorrupt)
	}
	if len(b) <= magicAt {
		return 0, nil
	}
	if m := Batch(b).Magic(); m < 0 || m > 2 {
		return 0, fmt.Errorf("format %d: %w", m, ErrCorrupt)
	}
	if n > len(b) {
		return 0, nil
	}
	return n, nil
}

// CheckCRC compares the checksum with the bytes.
func (b Batch) CheckCRC() error {
	if got := crc32.Checksum(b[crcFrom:], castagnoli); got != b.CRC() {
		return fmt.Errorf("checksum %08x, want %08x: %w", got, b.CRC(), ErrCorrupt)
	}
	return nil
}

// Validate checks the header of what a producer sent, without parsing its records: the
// format, the checksum, and that counts, offsets and producer fields add up.
func (b Batch) Validate() error {
	if b.Magic() != 2 {
		return fmt.Errorf("format %d, only 2 is allowed: %w", b.Magic(), ErrInvalidRecord)
	}
	if err := b.CheckCRC(); err != nil {
		return err
	}
	if b.Codec() > Zstd {
		return fmt.Errorf("codec %d: %w", b.Codec(), ErrCodec)
	}
	return b.validateFields()
}

func (b Batch) validateFields() error {
	n := b.Count()
	switch {
	case n <= 0:
		return fmt.Errorf("%d records: %w", n, ErrInvalidRecord)
	case b.LastDelta() != n-1:
		return fmt.Errorf("last offset delta %d with %d records: %w", b.LastDelta(), n, ErrInvalidRecord)
	case b.Codec() == None && int(n) > (len(b)-BatchHeaderBytes)/MinRecordBytes:
		return fmt.Errorf("%d records in %d bytes: %w", n, len(b), ErrInvalidRecord)
	case b.ProducerID() >= 0 && b.BaseSequence() < 0 && !b.IsControl():
		return fmt.Errorf("producer id %d with sequence %d: %w", b.ProducerID(), b.BaseSequence(), ErrInvalidRecord)
	}
	return nil
}
