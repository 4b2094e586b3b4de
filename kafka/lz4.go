package kafka

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/pierrec/lz4/v4"
)

// What Kafka's clients read of lz4 is one frame whose blocks don't depend on each other
// (KIP-57):
//
//	magic        uint32 little-endian, 0x184d2204
//	flags        1 byte: bits 6-7 version 1, 5 independent blocks, 4 block checksums,
//	             3 content size, 2 content checksum, 0-1 zero
//	block size   1 byte: bits 4-6 the most that a block decompresses to, 4 is 64 KiB and each
//	             further one four times as much, up to 7; the others zero
//	content size uint64, if the flag is set
//	checksum     1 byte, of the descriptor: flags, block size and content size
//	blocks       uint32 little-endian size, the highest bit for a block that is not compressed,
//	             its bytes, and a checksum of 4 bytes if the flag is set; size 0 is the end
//	checksum     4 bytes, of the content, if the flag is set
//
// Checksums are xxHash of 32 bits; the descriptor's is the second byte of one.
const (
	lz4Magic     = 0x184d2204
	lz4Version   = 1 << 6
	lz4Alone     = 1 << 5
	lz4BlockSums = 1 << 4
	lz4Size      = 1 << 3
	lz4Sum       = 1 << 2
	lz4Zero      = 1<<1 | 1<<0

	lz4BlockZero = 1<<7 | 1<<3 | 1<<2 | 1<<1 | 1<<0
	lz4Plain     = 1 << 31 // of a block's size
)

var (
	errLz4Frame = errors.New("not one lz4 frame of independent blocks")
	errLz4Sum   = errors.New("lz4: wrong checksum")
	errLz4Size  = errors.New("lz4: wrong size of the content")
)

// lz4Frame is a frame whose structure was checked, but not its blocks.
type lz4Frame struct {
	flags     byte
	blockMost int    // the most that a block decompresses to
	size      uint64 // of the content, if the flag is set
	blocks    []byte // with the end mark and what follows it
}

// parseLz4 takes apart a body that is one frame as Kafka's clients read it.
func parseLz4(body []byte) (f lz4Frame, err error) {
	le := binary.LittleEndian
	if len(body) < 7 || le.Uint32(body) != lz4Magic || body[4]&(3<<6|lz4Alone|lz4Zero) != lz4Version|lz4Alone {
		return f, errLz4Frame
	}
	f.flags, f.blocks = body[4], body[7:]
	descriptor := body[4:6]
	if f.flags&lz4Size != 0 {
		if len(f.blocks) < 8 {
			return f, errLz4Frame
		}
		f.size, f.blocks = le.Uint64(body[6:]), f.blocks[8:]
		descriptor = body[4:14]
	}
	if err := f.checkEnd(); err != nil {
		return f, err
	}
	if byte(xxh32(descriptor)>>8) != body[4+len(descriptor)] {
		return f, errLz4Sum
	}
	most := body[5] >> 4
	if body[5]&lz4BlockZero != 0 || most < 4 {
		return f, errLz4Frame
	}
	f.blockMost = 64 << 10 << (2 * (most - 4))
	return f, nil
}

// checkEnd checks that the blocks, and what follows them, end with the body.
func (f lz4Frame) checkEnd() error {
	tail := 0
	if f.flags&lz4Sum != 0 {
		tail = 4
	}
	for rest := f.blocks; len(rest) >= 4; {
		n := int(binary.LittleEndian.Uint32(rest) &^ lz4Plain)
		rest = rest[4:]
		if n == 0 {
			if len(rest) != tail {
				return errLz4Frame
			}
			return nil
		}
		if n += f.blockTail(); n > len(rest) {
			return errLz4Frame
		}
		rest = rest[n:]
	}
	return errLz4Frame
}

// blockTail returns the length of a block's checksum.
func (f lz4Frame) blockTail() int {
	if f.flags&lz4BlockSums != 0 {
		return 4
	}
	return 0
}

// unlz4 appends to dst what body decompresses to, at most limit bytes. dst grows to no more
// than twice that and a block.
func unlz4(dst, body []byte, limit int) ([]byte, error) {
	f, err := parseLz4(body)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	tail, err := f.eachBlock(func(block []byte, plain bool) error {
		dst, err = f.appendBlock(dst, block, plain)
		if err == nil && len(dst)-start > limit {
			err = errLimit
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.flags&lz4Sum != 0 && xxh32(dst[start:]) != binary.LittleEndian.Uint32(tail) {
		return nil, errLz4Sum
	}
	if f.flags&lz4Size != 0 && uint64(len(dst)-start) != f.size {
		return nil, errLz4Size
	}
	return dst, nil
}

// sizeLz4 returns how long what body decompresses to is, unless that is more than limit. The
// checksum of the content is left to unlz4. It has memory for a block.
func sizeLz4(body []byte, limit int) (n int, err error) {
	f, err := parseLz4(body)
	if err != nil {
		return 0, err
	}
	var room []byte
	_, err = f.eachBlock(func(block []byte, plain bool) error {
		if room, err = f.appendBlock(room[:0], block, plain); err != nil {
			return err
		}
		if n += len(room); n > limit {
			return errLimit
		}
		return nil
	})
	return n, err
}

// eachBlock calls use with each block, whose checksum is right, and whether its bytes are not
// compressed. It returns what follows the end mark.
func (f lz4Frame) eachBlock(use func(block []byte, plain bool) error) (tail []byte, err error) {
	le := binary.LittleEndian
	for rest := f.blocks; ; {
		head := le.Uint32(rest)
		rest = rest[4:]
		if head == 0 {
			return rest, nil
		}
		n := int(head &^ lz4Plain)
		if n == 0 || n > f.blockMost {
			return nil, errLz4Frame
		}
		block := rest[:n]
		rest = rest[n:]
		if f.flags&lz4BlockSums != 0 {
			if xxh32(block) != le.Uint32(rest) {
				return nil, errLz4Sum
			}
			rest = rest[4:]
		}
		if err := use(block, head&lz4Plain != 0); err != nil {
			return nil, err
		}
	}
}

// lz4Ratio is the most that a byte of a block can stand for.
const lz4Ratio = 255

// appendBlock decompresses a block straight into dst. How long it will be isn't known: what room
// there is, is tried first, then more, up to the most that the block can hold.
func (f lz4Frame) appendBlock(dst, block []byte, plain bool) ([]byte, error) {
	if plain {
		return append(dst, block...), nil
	}
	most := min(f.blockMost, lz4Ratio*len(block))
	if cap(dst) == len(dst) { // the library needs some room
		dst = slices.Grow(dst, min(most, 4*len(block)))
	}
	for {
		room := min(most, cap(dst)-len(dst))
		n, err := lz4.UncompressBlock(block, dst[len(dst):len(dst)+room])
		if err == nil {
			return dst[:len(dst)+n], nil
		}
		if room == most {
			return nil, err
		}
		dst = slices.Grow(dst, min(most, max(2*room, 4*len(block))))
	}
}
