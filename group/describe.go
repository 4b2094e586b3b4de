package group

import (
	"maps"
	"slices"
	"time"
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

// Topics are those with durable offsets, in order.
func (g *Group) Topics() []string {
	if g.deleting {
		return nil
	}
	var topics []string
	for topic, t := range g.topicOffsets {
		for _, p := range t.shards {
			if len(p.durable) > 0 {
				topics = append(topics, topic)
				break
			}
		}
	}
	slices.Sort(topics)
	return topics
}

// Partitions are a topic's with durable offsets, in order.
func (g *Group) Partitions(topic string) (all []int32) {
	if t := g.topicOffsets[topic]; t != nil {
		for _, p := range t.shards {
			all = slices.AppendSeq(all, maps.Keys(p.durable))
		}
	}
	slices.Sort(all)
	return all
}

// Listing is what ListGroups shows.
type Listing struct {
	Group        string
	ProtocolType string
	State        State
}

// List shows the group in brief.
func (g *Group) List() Listing { return Listing{g.id, g.protocolType, g.state} }

// Expiry is when the group next has an offset to forget, or itself; zero if it
// can't be told.
func (g *Group) Expiry() (at time.Time) {
	if !g.anyOffset() {
		return g.since.Add(g.cfg.RetentionCheck)
	}
	for _, p := range g.parts() {
		for _, c := range p.durable {
			from := c.Committed
			if g.protocolType != "" {
				from = g.since
			}
			end := from.Add(g.cfg.OffsetsRetention)
			if !c.Expires.IsZero() {
				end = c.Expires
			}
			if at.IsZero() || end.Before(at) {
				at = end
			}
		}
	}
	return at
}
