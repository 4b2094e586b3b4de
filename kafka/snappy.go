package kafka

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/golang/snappy"
)

// xerial is the magic of the framing that Java's snappy streams have.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// xerialHeader is the magic, a version and the oldest version that reads the stream.
const xerialHeader = 16

// unsnappy appends to dst what body decompresses to, at most limit bytes.
func unsnappy(dst, body []byte, limit int) ([]byte, error) {
	total, err := sizeSnappy(body, limit)
	if err != nil {
		return nil, err
	}
	at := len(dst)
	out := slices.Grow(dst, total)[:at+total]
	err = snappyBlocks(body, func(block []byte) error {
		n, err := snappy.DecodedLen(block)
		if err == nil {
			_, err = snappy.Decode(out[at:at+n], block)
			at += n
		}
		return err
	})
	return out, err
}

// sizeSnappy returns what the lengths of body's blocks add up to, unless that is more than limit.
func sizeSnappy(body []byte, limit int) (total int, err error) {
	err = snappyBlocks(body, func(block []byte) error {
		n, err := snappy.DecodedLen(block)
		if err == nil && n > limit-total {
			err = errLimit
		}
		total += n
		return err
	})
	return total, err
}

// snappyBlocks calls each with the blocks of a body, which is one or framed as Java does.
// Several of Java's streams may follow each other.
func snappyBlocks(body []byte, each func([]byte) error) error {
	if !bytes.HasPrefix(body, xerial) {
		return each(body)
	}
	for rest := body; len(rest) > 0; {
		if bytes.HasPrefix(rest, xerial) {
			if len(rest) < xerialHeader {
				return io.ErrUnexpectedEOF
			}
			rest = rest[xerialHeader:]
			continue
		}
		if len(rest) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest)-4) {
			return io.ErrUnexpectedEOF
		}
		if err := each(rest[4 : 4+n]); err != nil {
			return err
		}
		rest = rest[4+n:]
	}
	return nil
}
