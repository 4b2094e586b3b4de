package schema

import (
	"encoding/binary"
	"slices"
	"time"

	"varve/internal/id"
	"varve/internal/wire"
)

// Member is what the cluster keeps of an agent, alive or not, until an operator confirms that
// it won't come back: it is expected, and its hosts can be named.
type Member struct {
	Registered time.Time // when it last showed itself
	Leaving    bool      // it was told to stop then
	Version    string
	HTTP       string    // host:port of its admin API; "" is none
	Stores     []StoreAt // that it has and had, the newest first; at most MaxMemberStores
}

// StoreAt is a store, and where an agent last had it.
type StoreAt struct {
	Store       id.Store
	Incarnation id.Incarnation // that had it last
	Host        string         // host:port at which other agents, or else clients, reached it
}

// MaxMemberStores is how many stores of an agent are remembered.
const MaxMemberStores = 8

// Incarnation is the agent's newest.
func (m *Member) Incarnation() id.Incarnation {
	if len(m.Stores) == 0 {
		return 0
	}
	return m.Stores[0].Incarnation
}

// Host is where the agent was last.
func (m *Member) Host() string {
	if len(m.Stores) == 0 {
		return ""
	}
	return m.Stores[0].Host
}

// Moved notes the store that the agent has now.
func (m *Member) Moved(to StoreAt) {
	rest := slices.DeleteFunc(m.Stores, func(s StoreAt) bool { return s.Store == to.Store })
	m.Stores = append([]StoreAt{to}, rest...)
	m.Stores = m.Stores[:min(len(m.Stores), MaxMemberStores)]
}

// Encode writes the value.
func (m Member) Encode() []byte {
	b := binary.AppendVarint([]byte{1}, m.Registered.UnixMilli())
	b = wire.AppendBool(b, m.Leaving)
	b = wire.AppendString(b, m.Version)
	b = wire.AppendString(b, m.HTTP)
	b = binary.AppendUvarint(b, uint64(len(m.Stores)))
	for _, s := range m.Stores {
		b = append(b, s.Store[:]...)
		b = binary.AppendUvarint(b, uint64(s.Incarnation))
		b = wire.AppendString(b, s.Host)
	}
	return b
}

// DecodeMember reads what Encode writes.
func DecodeMember(b []byte) (m Member, err error) {
	err = decode("member", 1, b, func(r *wire.Reader) {
		m.Registered = time.UnixMilli(r.Varint())
		m.Leaving = r.Bool()
		m.Version, m.HTTP = r.String(), r.String()
		for n := r.Count(18); n > 0; n-- {
			var s StoreAt
			copy(s.Store[:], r.Fixed(16))
			s.Incarnation, s.Host = id.Incarnation(r.Uvarint()), r.String()
			m.Stores = append(m.Stores, s)
		}
	})
	return m, err
}
