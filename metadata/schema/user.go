package schema

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"varve/internal/wire"
)

// User is what is kept of a user: verifiers of the password, from which it can't be computed.
type User struct {
	Changed time.Time // when a verifier was last set or removed
	Scram   map[ScramMechanism]ScramCredential
}

// ScramMechanism is Kafka's number of a SCRAM mechanism.
type ScramMechanism uint8

// The mechanisms of SCRAM.
const (
	ScramSHA256 ScramMechanism = 1
	ScramSHA512 ScramMechanism = 2
)

// ScramCredential is the verifier of a password for one mechanism (RFC 5802, section 3).
type ScramCredential struct {
	Iterations int32
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// Encode writes the value.
func (u User) Encode() []byte {
	return appendScram(binary.AppendVarint([]byte{1}, u.Changed.UnixMilli()), u.Scram)
}

// appendScram writes verifiers.
func appendScram(b []byte, all map[ScramMechanism]ScramCredential) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, m := range slices.Sorted(maps.Keys(all)) {
		c := all[m]
		b = append(b, uint8(m))
		b = binary.AppendVarint(b, int64(c.Iterations))
		b = wire.AppendBytes(b, c.Salt)
		b = wire.AppendBytes(b, c.StoredKey)
		b = wire.AppendBytes(b, c.ServerKey)
	}
	return b
}

// DecodeUser reads what Encode writes.
func DecodeUser(b []byte) (u User, err error) {
	ordered := true
	err = decode("user", 1, b, func(r *wire.Reader) {
		u.Changed = time.UnixMilli(r.Varint())
		u.Scram, ordered = readScram(r)
	})
	if err == nil && !ordered {
		err = &ValueError{"user", errDisorder}
	}
	return u, err
}

var errDisorder = errors.New("mechanisms are not in order")

// readScram reads verifiers, which must be in the order of their mechanisms.
func readScram(r *wire.Reader) (all map[ScramMechanism]ScramCredential, ordered bool) {
	var last ScramMechanism
	ordered = true
	n := r.Count(5)
	all = make(map[ScramMechanism]ScramCredential, n)
	for ; n > 0; n-- {
		m := ScramMechanism(r.U8())
		ordered = ordered && m > last
		last = m
		all[m] = ScramCredential{int32(r.Varint()), slices.Clone(r.Bytes()), slices.Clone(r.Bytes()), slices.Clone(r.Bytes())}
	}
	return all, ordered
}
