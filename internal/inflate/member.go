package inflate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A member is a header, deflate blocks, and a trailer:
//
//	magic    2 bytes, 0x1f 0x8b
//	method   1 byte, 8
//	flags    1 byte: bit 1 checksum of the header, 2 extra, 3 name, 4 comment; 5-7 are zero
//	time     4 bytes
//	level    1 byte
//	system   1 byte
//	extra    uint16 little-endian length, and as many bytes, if the flag is set
//	name     bytes up to a zero, if the flag is set
//	comment  the same
//	checksum uint16 little-endian, the low half of the CRC-32 of all before it, if the flag is set
//	blocks
//	sum      uint32 little-endian, CRC-32 of what the blocks decompress to
//	size     uint32 little-endian, its length modulo 2^32
const (
	headerBytes  = 10
	trailerBytes = 8

	flagSum     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
	flagZero    = 1<<5 | 1<<6 | 1<<7

	// maxText bounds a name or comment, its zero included.
	maxText = 512
)

// claimed returns the size in the last trailer. It is a hint: a producer may write what it
// likes, and there may be other members before.
func claimed(src []byte) int {
	if len(src) < headerBytes+trailerBytes {
		return 0
	}
	return int(binary.LittleEndian.Uint32(src[len(src)-4:]))
}

// members decompresses one member or several. Nothing else may stand between or after them,
// but the input may end within the name or comment of a header that follows a member.
func (d *decoder) members() error {
	if err := d.header(); err != nil {
		return err
	}
	for {
		if err := d.blocks(); err != nil {
			return err
		}
		if err := d.trailer(); err != nil {
			return err
		}
		err := d.header()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// header reads a header. No byte of one, or the end within its name or comment, is io.EOF.
func (d *decoder) header() error {
	all := d.in[d.pos:]
	if len(all) == 0 {
		return io.EOF
	}
	if len(all) < headerBytes {
		return ErrTruncated
	}
	if all[0] != 0x1f || all[1] != 0x8b || all[2] != 8 {
		return ErrHeader
	}
	flags, rest := all[3], all[headerBytes:]
	if flags&flagExtra != 0 {
		if len(rest) < 2 {
			return ErrTruncated
		}
		n := int(binary.LittleEndian.Uint16(rest))
		if rest = rest[2:]; n > len(rest) {
			return ErrTruncated
		}
		rest = rest[n:]
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		n := bytes.IndexByte(rest[:min(len(rest), maxText)], 0)
		if n < 0 && len(rest) < maxText {
			return io.EOF
		}
		if n < 0 {
			return ErrHeader
		}
		rest = rest[n+1:]
	}
	if flags&flagSum != 0 {
		if len(rest) < 2 {
			return ErrTruncated
		}
		if binary.LittleEndian.Uint16(rest) != uint16(crc32.ChecksumIEEE(all[:len(all)-len(rest)])) {
			return ErrHeader
		}
		rest = rest[2:]
	}
	if flags&flagZero != 0 {
		return ErrHeader
	}
	d.pos = len(d.in) - len(rest)
	d.member, d.summed, d.sum, d.size = d.at, d.at, 0, 0
	return nil
}

// trailer checks what the blocks before it decompressed to.
func (d *decoder) trailer() error {
	rest := d.in[d.pos:]
	if len(rest) < trailerBytes {
		return ErrTruncated
	}
	d.addSum()
	if binary.LittleEndian.Uint32(rest) != d.sum || binary.LittleEndian.Uint32(rest[4:]) != d.size {
		return ErrChecksum
	}
	d.pos += trailerBytes
	return nil
}

// addSum adds what was written since it was called last to the member's checksum and size.
func (d *decoder) addSum() {
	d.sum = crc32.Update(d.sum, crc32.IEEETable, d.out[d.summed:d.at])
	d.size += uint32(d.at - d.summed)
	d.summed = d.at
}
