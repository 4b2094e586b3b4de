package schema

import (
	"encoding/binary"

	"varve/internal/id"
	"varve/internal/wire"
)

// Role is the incarnation that has a part in the cluster that one agent has at a
// time: the controller, or a coordinator slot.
type Role struct {
	Incarnation id.Incarnation
	Broker      id.Broker
}

// Encode writes the value.
func (o Role) Encode() []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(o.Incarnation))
	return binary.AppendVarint(b, int64(o.Broker))
}

// DecodeRole reads what Encode writes.
func DecodeRole(b []byte) (o Role, err error) {
	err = decode("role", 1, b, func(r *wire.Reader) {
		o.Incarnation = id.Incarnation(r.Uvarint())
		o.Broker = id.Broker(r.Varint())
	})
	return o, err
}
