package classic

import (
	"time"

	"varve/metadata/schema"
)

// Description is what DescribeGroups shows.
type Description struct {
	State        State
	ProtocolType string
	Protocol     string // of a stable group only
	Members      []DescribedMember
}

// DescribedMember is one member of a Description.
type DescribedMember struct {
	ID         string
	InstanceID *string
	ClientID   string
	ClientHost string
	Metadata   []byte // of a stable group only
	Assignment []byte
}

// Describe shows the group.
func (m *Membership) Describe() Description {
	d := Description{State: m.gen.state, ProtocolType: m.gen.protocolType}
	if d.State == Stable {
		d.Protocol = m.gen.protocol
	}
	for _, o := range m.members {
		s := DescribedMember{ID: o.id, InstanceID: o.instance, ClientID: o.clientID, ClientHost: o.clientHost, Assignment: o.assignment}
		if d.State == Stable {
			s.Metadata = o.metadata(m.gen.protocol)
		}
		d.Members = append(d.Members, s)
	}
	return d
}

// Generation returns the present generation, its protocol and its leader.
func (m *Membership) Generation() (number int32, protocol, leader string) {
	return m.gen.number, m.gen.protocol, m.leader
}

// Count returns the number of members.
func (m *Membership) Count() int { return len(m.members) }

// There reports whether there is such a group, if only one that is on the way out.
func (m *Membership) There() bool { return m.gen.there() }

// Ending reports whether the group is on the way out.
func (m *Membership) Ending() bool { return m.gen.deleting }

// State returns where the group stands.
func (m *Membership) State() State { return m.gen.state }

// ProtocolType returns the type of the members' protocols, "" until someone joined.
func (m *Membership) ProtocolType() string { return m.gen.protocolType }

// Unused reports whether the group is there, without members, and with none to come.
func (m *Membership) Unused() bool { return m.gen.state == Empty && len(m.pending) == 0 }

// Size bounds what the members brought along, in bytes.
func (m *Membership) Size() int { return m.size }

// Since returns when the group's state began.
func (m *Membership) Since() time.Time { return m.gen.since }

// Record returns the group's record as it stands.
func (m *Membership) Record() *schema.Group { return m.gen.record(nil) }
