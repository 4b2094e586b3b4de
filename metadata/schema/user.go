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
	b := binary.AppendVarint([]byte{1}, u.Changed.UnixMilli())
	b = binary.AppendUvarint(b, uint64(len(u.Scram)))
	for _, m := range slices.Sorted(maps.Keys(u.Scram)) {
		c := u.Scram[m]
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
	var last ScramMechanism
	disordered := false
	err = decode("user", 1, b, func(r *wire.Reader) {
		u.Changed = time.UnixMilli(r.Varint())
		n := r.Count(5)
		u.Scram = make(map[ScramMechanism]ScramCredential, n)
		for ; n > 0; n-- {
			m := ScramMechanism(r.U8())
			disordered = disordered || m <= last
			last = m
			u.Scram[m] = ScramCredential{int32(r.Varint()), slices.Clone(r.Bytes()), slices.Clone(r.Bytes()), slices.Clone(r.Bytes())}
		}
	})
	if err == nil && disordered {
		err = &ValueError{"user", errors.New("mechanisms are not in order")}
	}
	return u, err
}
