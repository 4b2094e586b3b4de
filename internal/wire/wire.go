// Package wire appends and reads the primitives that all of Varve's own binary
// formats are made of: fixed-width little-endian integers, unsigned and zigzag
// varints, and length-prefixed bytes.
//
// A Reader never panics and never allocates more than the input can hold: every
// length is checked against what is left before anything is made of it. The
// first fault sticks; check Err once at the end.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort is in the chain of every error of a Reader.
var ErrShort = errors.New("encoded value is short or malformed")

// AppendBytes appends b after its length as an unsigned varint.
func AppendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// AppendString appends s after its length as an unsigned varint.
func AppendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// AppendBool appends one byte, 0 or 1.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// Reader takes primitives off the front of a byte slice.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads from b, which it does not copy or change.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is the first fault, or nil.
func (r *Reader) Err() error { return r.err }

// Len is the number of bytes left.
func (r *Reader) Len() int { return len(r.b) }

// Done is Err, or an error if bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) != 0 {
		return fmt.Errorf("%d bytes left over: %w", len(r.b), ErrShort)
	}
	return r.err
}

func (r *Reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("read %s with %d bytes left: %w", what, len(r.b), ErrShort)
	}
	r.b = nil
}

// Fixed takes n bytes as they are; the result aliases the input.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.fail("bytes")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// U8 takes one byte.
func (r *Reader) U8() uint8 {
	if v := r.Fixed(1); v != nil {
		return v[0]
	}
	return 0
}

// Bool takes one byte, which must be 0 or 1.
func (r *Reader) Bool() bool {
	v := r.U8()
	if v > 1 {
		r.fail("bool")
	}
	return v == 1
}

// U16 takes a little-endian uint16.
func (r *Reader) U16() uint16 {
	if v := r.Fixed(2); v != nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

// U32 takes a little-endian uint32.
func (r *Reader) U32() uint32 {
	if v := r.Fixed(4); v != nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

// U64 takes a little-endian uint64.
func (r *Reader) U64() uint64 {
	if v := r.Fixed(8); v != nil {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

// I32 takes a little-endian int32, two's complement.
func (r *Reader) I32() int32 { return int32(r.U32()) }

// I64 takes a little-endian int64, two's complement.
func (r *Reader) I64() int64 { return int64(r.U64()) }

// Uvarint takes an unsigned varint.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 {
		r.fail("uvarint")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Varint takes a zigzag varint.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.b)
	if r.err != nil || n <= 0 {
		r.fail("varint")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count takes an unsigned varint, the number of elements that follow, each of at
// least minBytes (1 or more). A count that what is left can't hold is a fault,
// so the result is safe to allocate by.
func (r *Reader) Count(minBytes int) int {
	v := r.Uvarint()
	if r.err != nil || v > uint64(len(r.b)/minBytes) {
		r.fail("count")
		return 0
	}
	return int(v)
}

// Bytes takes length-prefixed bytes; the result aliases the input.
func (r *Reader) Bytes() []byte { return r.Fixed(r.Count(1)) }

// String takes a length-prefixed string.
func (r *Reader) String() string { return string(r.Bytes()) }
