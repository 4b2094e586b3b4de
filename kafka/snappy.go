package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/s2"
)

// xerial is the magic of the framing that Java's snappy streams have.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// xerialHeader is the magic, a version and the oldest version that reads the stream.
const xerialHeader = 16

func unsnappy(dst, body []byte, limit int, room func(int)) ([]byte, error) {
	total := 0
	err := snappyBlocks(body, func(block []byte) error {
		n, err := s2.DecodedLen(block)
		if err == nil && n > limit-total {
			err = errLimit
		}
		if err == nil {
			err = checkSnappy(block)
		}
		total += n
		return err
	})
	if err != nil {
		return nil, err
	}
	if total > smallOutput {
		room(total)
	}
	out := slices.Grow(dst, total)[:total]
	at := 0
	err = snappyBlocks(body, func(block []byte) error {
		n, err := s2.DecodedLen(block)
		if err == nil {
			_, err = s2.Decode(out[at:at+n:at+n], block)
			at += n
		}
		return err
	})
	return out, err
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

var errNoSnappy = errors.New("not snappy: a copy from offset 0")

// checkSnappy checks that a block has no copy from offset 0. That is how S2, whose decoder
// is used here, writes a repetition; snappy's decoders refuse it.
func checkSnappy(block []byte) error {
	_, n := binary.Uvarint(block)
	for at := max(n, 0); at < len(block); {
		tag := block[at]
		switch tag & 3 {
		case 0: // literal
			size, extra := int(tag>>2), 0
			if size >= 60 {
				extra = size - 59
				if at+extra >= len(block) {
					return nil // the decoder says what is wrong
				}
				size = 0
				for i := range extra {
					size |= int(block[at+1+i]) << (8 * i)
				}
			}
			at += 1 + extra + size + 1
		case 1:
			if at+1 < len(block) && tag&0xe0 == 0 && block[at+1] == 0 {
				return errNoSnappy
			}
			at += 2
		case 2:
			at += 3
		default:
			at += 5
		}
	}
	return nil
}
