package kafka

import (
	"encoding/binary"
	"errors"
)

// What Kafka's clients read of lz4 is one frame whose blocks don't depend on each other
// (KIP-57):
//
//	magic        uint32 little-endian, 0x184d2204
//	flags        1 byte: bits 6-7 version 1, 5 independent blocks, 4 block checksums,
//	             3 content size, 2 content checksum, 0-1 zero
//	block size   1 byte
//	content size uint64, if the flag is set
//	checksum     1 byte, of the descriptor
//	blocks       uint32 little-endian size, the highest bit for a block that is not compressed,
//	             its bytes, and a checksum of 4 bytes if the flag is set; size 0 is the end
//	checksum     4 bytes, if the flag is set
const (
	lz4Magic     = 0x184d2204
	lz4Version   = 1 << 6
	lz4Alone     = 1 << 5
	lz4BlockSums = 1 << 4
	lz4Size      = 1 << 3
	lz4Sum       = 1 << 2
	lz4Zero      = 1<<1 | 1<<0
)

var errLz4Frame = errors.New("not one lz4 frame of independent blocks")

// checkLz4 checks that body is one frame as Kafka's clients read it, without decompressing
// it: the lz4 library reads other frames, and several, too.
func checkLz4(body []byte) error {
	le := binary.LittleEndian
	if len(body) < 7 || le.Uint32(body) != lz4Magic || body[4]&(3<<6|lz4Alone|lz4Zero) != lz4Version|lz4Alone {
		return errLz4Frame
	}
	flags, blockTail, tail := body[4], 0, 0
	rest := body[7:]
	if flags&lz4Size != 0 {
		if len(rest) < 8 {
			return errLz4Frame
		}
		rest = rest[8:]
	}
	if flags&lz4BlockSums != 0 {
		blockTail = 4
	}
	if flags&lz4Sum != 0 {
		tail = 4
	}
	for len(rest) >= 4 {
		n := int(le.Uint32(rest) &^ (1 << 31))
		rest = rest[4:]
		if n == 0 {
			if len(rest) != tail {
				return errLz4Frame
			}
			return nil
		}
		if n += blockTail; n > len(rest) {
			return errLz4Frame
		}
		rest = rest[n:]
	}
	return errLz4Frame
}
