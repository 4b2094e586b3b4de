package schema

import (
	"encoding/binary"
	"maps"
	"slices"

	"varve/internal/wire"
)

// Settings is a set of named settings that someone made.
type Settings map[string]string

func (c Settings) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c)))
	for _, k := range slices.Sorted(maps.Keys(c)) {
		b = wire.AppendString(b, k)
		b = wire.AppendString(b, c[k])
	}
	return b
}

func readSettings(r *wire.Reader) Settings {
	n := r.Count(2)
	c := make(Settings, n)
	for ; n > 0; n-- {
		k := r.String()
		c[k] = r.String()
	}
	return c
}

// Encode writes the value.
func (c Settings) Encode() []byte { return c.append([]byte{1}) }

// DecodeSettings reads what Encode writes.
func DecodeSettings(b []byte) (c Settings, err error) {
	err = decode("config", 1, b, func(r *wire.Reader) { c = readSettings(r) })
	return c, err
}
