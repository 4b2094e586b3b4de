package schema

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"varve/internal/wire"
)

// Security is what all agents of a cluster share for the authentication of clients.
type Security struct {
	// Secret keys the salts that are made up for users who don't exist, so that every agent
	// makes up the same: SecretBytes long.
	Secret []byte
	// FirstUser is when the first user was created, or found to be there. It is never created
	// again. Zero: not yet.
	FirstUser time.Time
}

// SecretBytes is the length of a Security's secret.
const SecretBytes = 32

// Encode writes the value.
func (s Security) Encode() []byte {
	b := wire.AppendBytes([]byte{1}, s.Secret)
	var first int64
	if !s.FirstUser.IsZero() {
		first = s.FirstUser.UnixMilli()
	}
	return binary.AppendVarint(b, first)
}

// DecodeSecurity reads what Encode writes.
func DecodeSecurity(b []byte) (s Security, err error) {
	err = decode("security", 1, b, func(r *wire.Reader) {
		s.Secret = slices.Clone(r.Bytes())
		if first := r.Varint(); first != 0 {
			s.FirstUser = time.UnixMilli(first)
		}
	})
	if err == nil && len(s.Secret) != SecretBytes {
		err = &ValueError{"security", errors.New("the secret is not of 32 bytes")}
	}
	return s, err
}
