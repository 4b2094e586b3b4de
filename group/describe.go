package group

import (
	"varve/group/offsets"
)

// Type is Kafka's name for groups of this protocol.
const Type = "classic"

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
func (g *Group) Describe() Description {
	d := Description{State: g.state, ProtocolType: g.protocolType}
	if g.state == Stable {
		d.Protocol = g.protocol
	}
	for _, m := range g.members {
		o := DescribedMember{ID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost, Assignment: m.assignment}
		if g.state == Stable {
			o.Metadata = m.metadata(g.protocol)
		}
		d.Members = append(d.Members, o)
	}
	return d
}

// fetch returns the group's durable offsets; a group that is being deleted has none.
func (g *Group) fetch(topics []offsets.TopicPartitions) []offsets.FetchedTopic {
	if g.deleting {
		return offsets.New(&g.cfg.Config).Fetch(topics)
	}
	return g.offsets.Fetch(topics)
}

// progress returns what is durable in little memory: it is kept of groups that are not
// loaded.
func (g *Group) progress() []offsets.Committed {
	if g.deleting {
		return nil
	}
	return g.offsets.Progress()
}

// List shows the group in brief.
func (g *Group) List() Listing { return Listing{g.id, g.protocolType, g.state} }
