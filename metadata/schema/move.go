package schema

import (
	"encoding/binary"

	"varve/internal/id"
	"varve/internal/wire"
)

// Move asks a partition's owner to give it to another agent.
type Move struct {
	To id.Broker
}

// Encode writes the value.
func (m Move) Encode() []byte { return binary.AppendVarint([]byte{1}, int64(m.To)) }

// DecodeMove reads what Encode writes.
func DecodeMove(b []byte) (m Move, err error) {
	err = decode("move", 1, b, func(r *wire.Reader) { m.To = id.Broker(r.Varint()) })
	return m, err
}
