// Package inflate decompresses gzip (RFC 1952), whose data are deflate streams (RFC 1951), from
// one slice into another.
//
// A reader of streams must stop and go on anywhere, keeps a window of 32 KiB of what it has
// written, and copies everything out of it. Here both sides are slices: the output is the
// window. The design is that of libdeflate's decompressor (lib/decompress_template.h) and of
// inflate_fast in zlib:
//
//   - 64 bits of input are held in a register and refilled by one load of 8 bytes.
//   - A table of 11 bits for literals and lengths, and one of 8 bits for distances, resolve
//     most codes with one look-up; longer codes continue in a subtable. An entry carries what
//     the symbol stands for: the literal, or the base and the number of extra bits.
//   - While there is enough input and room for any symbol, a fast loop checks neither, and
//     copies in words of 8 bytes that may overrun the end of a match. The rest is decoded by
//     a careful loop, one symbol at a time.
//
// Memory is bounded by the limit that the caller sets, and by 1032 times the input, which is
// the most that deflate can express. No input makes it panic.
package inflate

import (
	"errors"
	"sync"
)

// The reasons for which a decompression ends early.
var (
	ErrLimit     = errors.New("decompressed size is over the limit")
	ErrTruncated = errors.New("gzip: truncated")
	ErrHeader    = errors.New("gzip: not a header of gzip")
	ErrChecksum  = errors.New("gzip: wrong checksum or size")
	ErrCorrupt   = errors.New("gzip: data that are not deflate")
)

const (
	// window is how far back a match may reach.
	window = 32 << 10
	// maxMatch is the length of the longest match.
	maxMatch = 258
	// slack is the room that the fast loop needs: the literals before a match, the match, and
	// the words that are copied beyond its end.
	slack = 2 + maxMatch + 32
	// maxRatio is how many bytes one byte of deflate can stand for: two bits for a match of
	// 258 bytes.
	maxRatio = 1032
	// countRoom is the buffer of Size.
	countRoom = 8 * window
)

// decoder is the state of one decompression.
type decoder struct {
	in  []byte
	pos int    // the next byte of in
	acc uint64 // bits that were read and not used yet, the next one lowest
	n   uint   // how many

	out    []byte // all the room that there is
	at     int    // where the next byte goes
	member int    // where the present member begins, or the window's start
	summed int    // up to here, the present member is in sum and size
	sum    uint32 // its CRC-32
	size   uint32 // its length, modulo 2^32
	max    int    // the highest at that the limit allows
	count  bool   // the output isn't kept

	lit  *litTable // the codes of the present block: the fixed ones, or ownLit and ownDist
	dist *distTable

	ownLit  litTable
	ownDist distTable
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Append appends to dst what src decompresses to, all members of it. An output of more than
// limit bytes is ErrLimit; dst never grows to more than the limit and a few hundred bytes.
func Append(dst, src []byte, limit int) ([]byte, error) {
	start := len(dst)
	d := decoders.Get().(*decoder)
	defer d.free()
	d.reset(src)
	limit = min(limit, maxRatio*len(src)) // and so no sum below overflows
	d.at, d.max = start, start+limit
	d.out = dst[:min(cap(dst), d.max+slack)]
	if err := d.makeRoom(min(claimed(src), limit)); err != nil {
		return nil, err
	}
	if err := d.members(); err != nil {
		return nil, err
	}
	return d.out[:d.at], nil
}

// Size returns the length of what src decompresses to, and checks it as Append does. It takes
// little memory, however large that is. More than limit bytes are ErrLimit.
func Size(src []byte, limit int) (int, error) {
	d := decoders.Get().(*decoder)
	defer d.free()
	d.reset(src)
	limit = min(limit, maxRatio*len(src))
	d.max, d.count = limit, true
	d.out = make([]byte, countRoom)
	if err := d.members(); err != nil {
		return 0, err
	}
	return limit - (d.max - d.at), nil
}

func (d *decoder) reset(src []byte) {
	d.in, d.pos, d.acc, d.n = src, 0, 0, 0
	d.at, d.member, d.summed, d.sum, d.size, d.max, d.count = 0, 0, 0, 0, 0, 0, false
}

// free keeps the tables for the next decompression, and nothing of the caller's.
func (d *decoder) free() {
	d.in, d.out = nil, nil
	decoders.Put(d)
}

// makeRoom makes room for n more bytes. If the limit doesn't allow for them, it is ErrLimit.
func (d *decoder) makeRoom(n int) error {
	switch {
	case n > d.max-d.at:
		return ErrLimit
	case n <= len(d.out)-d.at:
	case d.count:
		d.slide()
	default:
		room := d.at + min(max(n, d.at), d.max-d.at) + slack
		grown := make([]byte, room)
		copy(grown, d.out[:d.at])
		d.out = grown
	}
	return nil
}

// slide drops all output but a window. It leaves room for at least a match.
func (d *decoder) slide() {
	d.addSum()
	n := d.at - window
	copy(d.out, d.out[n:d.at])
	d.at, d.max = window, d.max-n
	d.member = max(d.member-n, 0)
	d.summed = d.at
}
