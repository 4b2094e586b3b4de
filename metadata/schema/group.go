package schema

import (
	"encoding/binary"
	"fmt"
	"time"

	"varve/internal/wire"
)

// GroupMember is a member of a group's generation.
type GroupMember struct {
	ID               string
	Static           bool   // whether Instance holds
	Instance         string // group.instance.id (KIP-345)
	ClientID         string
	ClientHost       string
	RebalanceTimeout time.Duration // in whole milliseconds
	SessionTimeout   time.Duration // in whole milliseconds
	Metadata         []byte        // for the generation's protocol; opaque
	Assignment       []byte        // opaque
}

// Group is a consumer group as of its last generation that is agreed on; what a
// new coordinator needs so that the members go on as if nothing had happened.
type Group struct {
	ProtocolType string // "" of a group that only keeps offsets
	Generation   int32
	Protocol     string // "" without members
	Leader       string // a member's id, "" without members
	Since        time.Time
	Members      []GroupMember // none: the group is empty, since Since
}

// Encode writes the value.
func (g Group) Encode() []byte {
	b := wire.AppendString([]byte{1}, g.ProtocolType)
	b = binary.AppendVarint(b, int64(g.Generation))
	b = wire.AppendString(b, g.Protocol)
	b = wire.AppendString(b, g.Leader)
	b = binary.AppendVarint(b, g.Since.UnixMilli())
	b = binary.AppendUvarint(b, uint64(len(g.Members)))
	for _, m := range g.Members {
		b = wire.AppendString(b, m.ID)
		b = wire.AppendBool(b, m.Static)
		b = wire.AppendString(b, m.Instance)
		b = wire.AppendString(b, m.ClientID)
		b = wire.AppendString(b, m.ClientHost)
		b = binary.AppendVarint(b, m.RebalanceTimeout.Milliseconds())
		b = binary.AppendVarint(b, m.SessionTimeout.Milliseconds())
		b = wire.AppendBytes(b, m.Metadata)
		b = wire.AppendBytes(b, m.Assignment)
	}
	return b
}

// DecodeGroup reads what Encode writes. The members' bytes alias b.
func DecodeGroup(b []byte) (g Group, err error) {
	err = decode("group", 1, b, func(r *wire.Reader) {
		g.ProtocolType = r.String()
		g.Generation = int32(r.Varint())
		g.Protocol, g.Leader = r.String(), r.String()
		g.Since = time.UnixMilli(r.Varint())
		for n := r.Count(9); n > 0; n-- {
			m := GroupMember{ID: r.String(), Static: r.Bool(), Instance: r.String(), ClientID: r.String(), ClientHost: r.String()}
			m.RebalanceTimeout, m.SessionTimeout = readMillis(r), readMillis(r)
			m.Metadata, m.Assignment = r.Bytes(), r.Bytes()
			g.Members = append(g.Members, m)
		}
	})
	if err == nil && g.Generation < 0 {
		err = &ValueError{"group", fmt.Errorf("generation %d", g.Generation)}
	}
	return g, err
}

// readMillis takes a duration, which Kafka bounds to 32 bits of milliseconds.
func readMillis(r *wire.Reader) time.Duration {
	return time.Duration(int32(r.Varint())) * time.Millisecond
}
