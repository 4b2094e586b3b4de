package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"varve/internal/vfs"
	"varve/wal"
)

// The wire between agents, version 1. Integers are little-endian.
//
// Every message is a frame: a header of 20 bytes and a payload.
//
//	 0 magic   "VR"
//	 2 kind    uint8   see below; 0 is none
//	 3 zero    uint8
//	 4 length  uint32  of the payload
//	 8 number  uint32  of the frame in its direction, from 1
//	12 crc     uint32  CRC-32C of the payload; 0 in entries, which carry their own sums
//	16 crc     uint32  CRC-32C of bytes 0 to 15
//
// The first frame of each side is a hello. What the rest is depends on its purpose:
//
//   - a stream carries one journal from its writer to one member: entries, beats,
//     trims and skips one way, acks the other;
//   - a call connection carries requests and answers, in turn.
//
// A frame that doesn't fit in any respect closes the connection: what counts is
// durable at the member, so nothing is lost by beginning again.
const (
	wireVersion   = 1
	frameHeader   = 20
	maxControl    = 64 << 10
	maxEntryFrame = wal.MaxFileBytes
)

type kind uint8

const (
	kindHello   kind = iota + 1 // either side's first
	kindEntries                 // of a stream: whole entries, one after another
	kindBeat                    // of a stream: nothing to send, and alive
	kindTrim                    // of a stream: position and number, see wal.Store.TrimBefore
	kindAck                     // of a member: the number up to which all is durable
	kindRefuse                  // of a member, the last frame: why it takes no more
	kindRequest                 // of a call: verb, arguments
	kindAnswer                  // of a call: code, text, result
	kindPut                     // of a call: a request that carries entries or a body
	kindSkip                    // of a stream: number and position at which the journal begins for this member, see wal.Follower.Skip
	kindLast
)

// limit is the largest payload of a kind.
func (k kind) limit() uint32 {
	switch k {
	case kindEntries, kindPut:
		return maxEntryFrame
	case kindAnswer:
		return maxEntryFrame
	}
	return maxControl
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errFrame: the peer sent what is no frame, or not the one that was due.
var errFrame = errors.New("malformed frame")

type frame struct {
	kind   kind
	length uint32
	number uint32
	crc    uint32
}

func (f frame) put(b []byte) {
	le := binary.LittleEndian
	b[0], b[1], b[2], b[3] = 'V', 'R', byte(f.kind), 0
	le.PutUint32(b[4:], f.length)
	le.PutUint32(b[8:], f.number)
	le.PutUint32(b[12:], f.crc)
	le.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
}

func parseFrame(b []byte) (f frame, err error) {
	le := binary.LittleEndian
	if len(b) < frameHeader || b[0] != 'V' || b[1] != 'R' || b[3] != 0 {
		return f, fmt.Errorf("no header: %w", errFrame)
	}
	if crc32.Checksum(b[:16], castagnoli) != le.Uint32(b[16:]) {
		return f, fmt.Errorf("header checksum: %w", errFrame)
	}
	f = frame{kind(b[2]), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])}
	if f.kind == 0 || f.kind >= kindLast {
		return f, fmt.Errorf("kind %d: %w", f.kind, errFrame)
	}
	if f.length > f.kind.limit() {
		return f, fmt.Errorf("%d bytes of kind %d: %w", f.length, f.kind, errFrame)
	}
	return f, nil
}

// check compares a payload with its sum.
func (f frame) check(payload []byte) error {
	if f.kind == kindEntries {
		return nil
	}
	if crc32.Checksum(payload, castagnoli) != f.crc {
		return fmt.Errorf("payload checksum: %w", errFrame)
	}
	return nil
}

// readStep is how much memory is taken ahead of what has arrived.
const readStep = 1 << 20

// readPayload reads a frame's payload into memory that begins at a block boundary.
// It takes memory as the bytes arrive, since a length may be false.
func readPayload(r io.Reader, f frame) ([]byte, error) {
	n := int(f.length)
	b := vfs.Aligned(min(n, readStep))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	for len(b) < n {
		more := vfs.Aligned(min(n, 2*len(b)))
		if _, err := io.ReadFull(r, more[copy(more, b):]); err != nil {
			return nil, err
		}
		b = more
	}
	return b, f.check(b)
}
