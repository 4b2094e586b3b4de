package classic

import (
	"bytes"
	"slices"
	"time"

	"varve/coordinator"
	"varve/metadata/schema"
)

// member is one member of a group.
type member struct {
	id         string
	instance   *string // nil: a dynamic member
	clientID   string
	clientHost string
	brought
	assignment []byte
	isNew      bool                // has not had an answer to its first Join
	join       *coordinator.Ticket // the Join that waits, if any
	sync       *coordinator.Ticket // the Sync that waits, if any
	unsynced   bool                // its Sync is awaited
}

// brought is what a member's last Join brought along.
type brought struct {
	rebalance time.Duration
	session   time.Duration
	protocols []Protocol // in order of preference, no name twice
	size      int        // in bytes
}

func broughtBy(e *Join) brought {
	return brought{e.RebalanceTimeout, e.SessionTimeout, e.Protocols, e.Size()}
}

// memberOf is a member as it was stored.
func memberOf(r schema.GroupMember, protocol string) *member {
	m := &member{id: r.ID, clientID: r.ClientID, clientHost: r.ClientHost, assignment: r.Assignment, brought: brought{
		rebalance: r.RebalanceTimeout, session: r.SessionTimeout, protocols: []Protocol{{protocol, r.Metadata}}}}
	m.size = 512 + len(r.ID) + len(r.Metadata) + len(r.Assignment)
	if r.Static {
		m.instance = &r.Instance
	}
	return m
}

// record is the member as it is stored, with an assignment.
func (m *member) record(protocol string, assignment []byte) schema.GroupMember {
	r := schema.GroupMember{ID: m.id, ClientID: m.clientID, ClientHost: m.clientHost, RebalanceTimeout: m.rebalance,
		SessionTimeout: m.session, Metadata: m.metadata(protocol), Assignment: assignment}
	if m.instance != nil {
		r.Static, r.Instance = true, *m.instance
	}
	return r
}

// metadata is the member's for a protocol, nil if it has none.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// matches reports whether a Join brings nothing new.
func (m *member) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}
