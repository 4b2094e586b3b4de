package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// MinRecordBytes is the least that a record takes: its length, attributes,
// timestamp and offset deltas, null key, null value and no headers.
const MinRecordBytes = 7

// Record is one record of a batch. Key and Value alias the batch's bytes (or
// its decompressed copy) and are nil where null.
type Record struct {
	Index     int   // in the batch
	Timestamp int64 // ms
	Offset    int64
	Key       []byte
	Value     []byte

	batch   Batch
	delta   int32  // of the offset, as it was sent
	headers []byte // still encoded, with their count
}

// Header is one header of a record; Value is nil where null.
type Header struct {
	Key   string
	Value []byte
}

// Headers decodes the record's headers.
func (r *Record) Headers() ([]Header, error) {
	d := varints{b: r.headers}
	n := d.int32()
	if n < 0 || int(n) > len(d.b) {
		return nil, fmt.Errorf("%d headers: %w", n, ErrInvalidRecord)
	}
	hs := make([]Header, 0, n)
	for range n {
		k := d.bytes()
		if k == nil {
			d.fail()
		}
		hs = append(hs, Header{string(k), d.bytes()})
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
	return b.Open(limit, func(body Body) error {
		return body.Each(func(r *Record) error {
			if r.delta < 0 || r.delta > b.LastDelta() {
				return &BadRecord{r.Index, fmt.Errorf("offset delta %d of %d: %w", r.delta, b.LastDelta(), ErrInvalidRecord)}
			}
			return each(r)
		})
	})
}

// BadRecord refuses a batch for one of its records.
type BadRecord struct {
	Index int // in the batch
	Err   error
}

func (e *BadRecord) Error() string { return fmt.Sprintf("record %d: %v", e.Index, e.Err) }
func (e *BadRecord) Unwrap() error { return e.Err }

// Each calls f with every record of the body, whatever its offset delta is. It checks
// the framing: the records, their fields and headers fill the body, and there are as
// many as in the header.
func (d Body) Each(f func(*Record) error) error {
	b := d.batch
	in := varints{b: d.bytes}
	r := Record{batch: b}
	for i := range int(b.Count()) {
		size := int(in.int32())
		if in.bad || size < 0 || size > len(in.b) {
			return &BadRecord{i, fmt.Errorf("a size of %d where %d bytes are left: %w", size, len(in.b), ErrInvalidRecord)}
		}
		r.Index = i
		if !r.parse(in.b[:size]) {
			return &BadRecord{i, fmt.Errorf("malformed fields in %d bytes: %w", size, ErrInvalidRecord)}
		}
		in.b = in.b[size:]
		if err := f(&r); err != nil {
			return err
		}
	}
	if len(in.b) != 0 {
		return fmt.Errorf("%d bytes after the last record: %w", len(in.b), ErrInvalidRecord)
	}
	return nil
}

// parse reads a record's fields and steps over its headers. It reports whether they
// fill body exactly.
func (r *Record) parse(body []byte) bool {
	if len(body) < MinRecordBytes-1 {
		return false
	}
	d := varints{b: body[1:]} // the attributes are not used
	r.Timestamp = r.batch.BaseTimestamp() + d.int64()
	if r.batch.IsLogAppendTime() {
		r.Timestamp = r.batch.MaxTimestamp()
	}
	r.delta = d.int32()
	r.Offset = r.batch.BaseOffset() + int64(r.delta)
	r.Key, r.Value, r.headers = d.bytes(), d.bytes(), d.b
	n := d.int32()
	if n < 0 || int(n) > len(d.b) {
		return false
	}
	for range n {
		if k := d.bytes(); k == nil {
			return false
		}
		d.bytes()
	}
	return !d.bad && len(d.b) == 0
}

// Misleads reports whether an error of Records means that the records aren't what the header promises.
func Misleads(err error) bool {
	return errors.Is(err, ErrInvalidRecord) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrCodec)
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
