package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// minRecordBytes is the least that a record takes: its length, attributes,
// timestamp and offset deltas, null key, null value and no headers.
const minRecordBytes = 7

// Record is one record of a batch. Key and Value alias the batch's bytes (or
// its decompressed copy) and are nil where null.
type Record struct {
	Index     int   // in the batch
	Timestamp int64 // ms
	Offset    int64
	Key       []byte
	Value     []byte
	headers   []byte // still encoded, behind their count
}

// Header is one header of a record; Value is nil where null.
type Header struct {
	Key   string
	Value []byte
}

// Headers decodes the record's headers.
func (r *Record) Headers() ([]Header, error) {
	d := varints{b: r.headers}
	n := d.varint()
	if n < 0 || n > int64(len(r.headers)) {
		return nil, fmt.Errorf("%d headers: %w", n, ErrInvalidRecord)
	}
	hs := make([]Header, 0, n)
	for range n {
		k := d.bytes()
		v := d.bytes()
		if k == nil {
			d.bad = true
		}
		hs = append(hs, Header{string(k), v})
	}
	if d.bad || len(d.b) != 0 {
		return nil, fmt.Errorf("headers are malformed: %w", ErrInvalidRecord)
	}
	return hs, nil
}

// Records calls each with every record, decompressed within limit bytes, until
// it returns an error, and checks that the records add up to what the header
// says. The Record is reused between calls.
func (b Batch) Records(limit int, each func(*Record) error) error {
	return b.opened(limit, func(body []byte) error { return b.eachOf(body, each) })
}

func (b Batch) eachOf(body []byte, each func(*Record) error) error {
	d := varints{b: body}
	var r Record
	for i := range int(b.Count()) {
		size := d.varint()
		if d.bad || size < 0 || size > int64(len(d.b)) {
			return fmt.Errorf("record %d of %d: %d bytes in %d: %w", i, b.Count(), size, len(d.b), ErrInvalidRecord)
		}
		if err := r.parse(b, i, d.b[:size]); err != nil {
			return err
		}
		d.b = d.b[size:]
		if err := each(&r); err != nil {
			return err
		}
	}
	if len(d.b) != 0 {
		return fmt.Errorf("%d bytes behind the last record: %w", len(d.b), ErrInvalidRecord)
	}
	return nil
}

func (r *Record) parse(b Batch, i int, body []byte) error {
	if len(body) < minRecordBytes-1 {
		return fmt.Errorf("record %d has %d bytes: %w", i, len(body), ErrInvalidRecord)
	}
	d := varints{b: body[1:]}
	stamp, delta := d.varint(), d.varint()
	r.Index = i
	r.Key, r.Value, r.headers = d.bytes(), d.bytes(), d.b
	if d.bad || len(d.b) == 0 {
		return fmt.Errorf("record %d is malformed: %w", i, ErrInvalidRecord)
	}
	if delta < 0 || delta > int64(b.LastDelta()) {
		return fmt.Errorf("record %d has offset delta %d of %d: %w", i, delta, b.LastDelta(), ErrInvalidRecord)
	}
	r.Offset = b.BaseOffset() + delta
	r.Timestamp = b.BaseTimestamp() + stamp
	if b.IsLogAppendTime() {
		r.Timestamp = b.MaxTimestamp()
	}
	return nil
}

// varints reads what records are made of; bad sticks.
type varints struct {
	b   []byte
	bad bool
}

func (d *varints) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes takes length-prefixed bytes; nil for null.
func (d *varints) bytes() []byte {
	n := d.varint()
	if n == -1 && !d.bad {
		return nil
	}
	if n < 0 || n > int64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Misleads says of an error of Records that the records aren't what the header promises.
func Misleads(err error) bool {
	return errors.Is(err, ErrInvalidRecord) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrCodec)
}

// Recompress makes the batch anew with another codec; the records stay as they
// are. It decompresses within limit bytes.
func (b Batch) Recompress(to Codec, limit int) (Batch, error) {
	var out []byte
	err := b.opened(limit, func(body []byte) (err error) {
		out = make([]byte, BatchHeaderBytes, BatchHeaderBytes+len(body)/2)
		copy(out, b)
		out, err = Compress(to, out, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	n := Batch(out)
	binary.BigEndian.PutUint32(n[8:], uint32(len(out)-batchLengthEnd))
	binary.BigEndian.PutUint16(n[21:], uint16(b.Attributes()&^attrCodec)|uint16(to))
	n.seal()
	return n, nil
}

// NewRecord is a record to be put into a batch by Build.
type NewRecord struct {
	Timestamp  int64 // ms
	Key, Value []byte
	Headers    []Header
}

// Build makes a batch at base offset 0 of at least one record, without a
// producer id unless set (if not nil) writes other header fields before the CRC is made.
func Build(codec Codec, records []NewRecord, set func(Batch)) (Batch, error) {
	var body, one []byte
	first, newest := records[0].Timestamp, records[0].Timestamp
	for i, r := range records {
		newest = max(newest, r.Timestamp)
		one = append(one[:0], 0)
		one = binary.AppendVarint(one, r.Timestamp-first)
		one = binary.AppendVarint(one, int64(i))
		one = appendNullable(one, r.Key)
		one = appendNullable(one, r.Value)
		one = binary.AppendVarint(one, int64(len(r.Headers)))
		for _, h := range r.Headers {
			one = appendNullable(one, []byte(h.Key))
			one = appendNullable(one, h.Value)
		}
		body = binary.AppendVarint(body, int64(len(one)))
		body = append(body, one...)
	}
	out, err := Compress(codec, make([]byte, BatchHeaderBytes, BatchHeaderBytes+len(body)), body)
	if err != nil {
		return nil, err
	}
	b := Batch(out)
	be := binary.BigEndian
	be.PutUint32(b[8:], uint32(len(b)-batchLengthEnd))
	be.PutUint32(b[12:], 0xffffffff)
	b[16] = 2
	be.PutUint16(b[21:], uint16(codec))
	be.PutUint32(b[23:], uint32(len(records)-1))
	be.PutUint64(b[27:], uint64(first))
	be.PutUint64(b[35:], uint64(newest))
	b.SetProducer(-1, -1, -1)
	be.PutUint32(b[57:], uint32(len(records)))
	if set != nil {
		set(b)
	}
	b.seal()
	return b, nil
}

// SetProducer writes the producer's fields. The CRC covers them; Build corrects it.
func (b Batch) SetProducer(pid int64, epoch int16, seq int32) {
	binary.BigEndian.PutUint64(b[43:], uint64(pid))
	binary.BigEndian.PutUint16(b[51:], uint16(epoch))
	binary.BigEndian.PutUint32(b[53:], uint32(seq))
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

// Checksum is the CRC-32C that Kafka's batches and Varve's own formats use.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
