package schema

import (
	"encoding/binary"
	"time"

	"varve/internal/wire"
)

// Bucket is where the cluster's objects are, as in its marker there.
type Bucket struct {
	Place string // names the bucket and prefix; the marker has the same
	Name  string // where that was when it was marked, for people
	Since time.Time
}

// Encode writes the value.
func (k Bucket) Encode() []byte {
	b := wire.AppendString(wire.AppendString([]byte{1}, k.Place), k.Name)
	return binary.AppendVarint(b, k.Since.UnixMilli())
}

// DecodeBucket reads what Encode writes.
func DecodeBucket(b []byte) (k Bucket, err error) {
	err = decode("bucket", 1, b, func(r *wire.Reader) {
		k.Place, k.Name = r.String(), r.String()
		k.Since = time.UnixMilli(r.Varint())
	})
	return k, err
}
