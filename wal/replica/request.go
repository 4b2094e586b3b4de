package replica

import (
	"encoding/binary"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
	"varve/wal"
)

// verb is what a request asks of a store.
type verb uint8

const (
	verbPing        verb = iota + 1 // -> incarnation uint64
	verbJoin                        // a: file bytes, b: fence, n: prev
	verbJoined                      // -> file bytes, fence, prev
	verbFence                       // a: epoch -> last entry
	verbLast                        // -> last entry
	verbSeal                        // a: end
	verbDrop                        //
	verbRead                        // a: position, n: bytes -> bytes
	verbDirectories                 // a: after -> wal.Directories.Next
	verbEntries                     // a: after, b: up to, n: about how many bytes -> entries
	verbPut                         // a: epoch, entries -> durable
	verbFirst                       // -> first entry, its position
	verbSkip                        // a: epoch, b: first entry, n: the file that it begins -> durable
	verbProbe                       // a, b: a store -> incarnation uint64, as verbPing there
	verbTell                        // n: what -> what Deps.Tell says
	verbGive                        // n: what, a body -> what Deps.Take says
	verbLastOne
)

// request is what a call connection carries: verb uint8, journal, a uint64, b uint64,
// n uint32, then the rest.
type request struct {
	verb    verb
	journal id.Journal
	a, b    uint64
	n       uint32
	rest    []byte // entries of verbPut, the body of verbGive
}

// hasRest reports whether something follows the arguments.
func (v verb) hasRest() bool { return v == verbPut || v == verbGive }

const requestHead = 1 + 12 + 8 + 8 + 4

func (q *request) encode() []byte {
	b := make([]byte, 0, requestHead+len(q.rest))
	b = append(b, byte(q.verb))
	b = appendJournal(b, q.journal)
	b = binary.LittleEndian.AppendUint64(b, q.a)
	b = binary.LittleEndian.AppendUint64(b, q.b)
	b = binary.LittleEndian.AppendUint32(b, q.n)
	return append(b, q.rest...)
}

func (q *request) kind() kind {
	if q.verb.hasRest() {
		return kindPut
	}
	return kindRequest
}

func decodeRequest(k kind, b []byte) (q request, err error) {
	r := wire.NewReader(b)
	q.verb, q.journal, q.a, q.b, q.n = verb(r.U8()), readJournal(r), r.U64(), r.U64(), r.U32()
	q.rest = r.Fixed(r.Len())
	switch {
	case r.Err() != nil:
		return q, fmt.Errorf("request: %w: %w", errFrame, r.Err())
	case q.verb == 0 || q.verb >= verbLastOne || q.kind() != k:
		return q, fmt.Errorf("request: verb %d in a frame of kind %d: %w", q.verb, k, errFrame)
	case len(q.rest) > 0 && !q.verb.hasRest():
		return q, fmt.Errorf("request: %d bytes left over: %w", len(q.rest), errFrame)
	case q.verb == verbGive && len(q.rest) > MaxTold:
		return q, fmt.Errorf("request: %d bytes are given, %d are allowed: %w", len(q.rest), MaxTold, errFrame)
	}
	return q, nil
}

// What a request may ask for at a time.
const maxRead = 1 << 20

// u64 makes and reads the results that are one number.
func u64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func readU64(b []byte, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	r := wire.NewReader(b)
	n := r.U64()
	return n, r.Done()
}

func encodeMembership(m wal.Membership) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(m.FileBytes))
	b = binary.LittleEndian.AppendUint64(b, m.Fence)
	return binary.LittleEndian.AppendUint32(b, m.Prev)
}

func decodeMembership(b []byte) (m wal.Membership, err error) {
	r := wire.NewReader(b)
	m.FileBytes, m.Fence, m.Prev = r.I64(), r.U64(), r.U32()
	return m, r.Done()
}
