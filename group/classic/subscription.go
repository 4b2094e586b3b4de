package classic

import (
	"encoding/binary"
	"errors"
)

// Subscribed reports whether members read a topic; if their subscriptions are
// not understood, they may.
func (m *Membership) Subscribed(topic string) bool {
	if m.gen.topics == nil {
		return m.gen.protocolType == ConsumerProtocol && len(m.members) > 0
	}
	_, ok := m.gen.topics[topic]
	return ok
}

// Understood reports whether it is known what topics the members of a stable group of
// consumers read.
func (m *Membership) Understood() bool {
	return m.gen.protocolType == ConsumerProtocol && m.gen.topics != nil && m.gen.state == Stable
}

// subscriptions are the topics that the members of a consumer group read, nil
// if that isn't known.
func (g *generations) subscriptions() map[string]struct{} {
	if g.protocolType != ConsumerProtocol || g.protocol == "" {
		return nil
	}
	topics := map[string]struct{}{}
	for _, m := range g.members {
		if err := readSubscription(m.metadata(g.protocol), topics); err != nil {
			g.out.Note("subscription of member %s is not understood: %v", m.id, err)
			return nil
		}
	}
	return topics
}

var errSubscription = errors.New("it is short or malformed")

// readSubscription adds the topics of a ConsumerProtocolSubscription, of which
// every version begins with: version int16, then an array of topic names. All
// integers are big-endian.
func readSubscription(b []byte, topics map[string]struct{}) error {
	if len(b) < 6 || int16(binary.BigEndian.Uint16(b)) < 0 {
		return errSubscription
	}
	n := int32(binary.BigEndian.Uint32(b[2:]))
	b = b[6:]
	if n < 0 || int(n) > len(b)/2 {
		return errSubscription
	}
	for ; n > 0; n-- {
		if len(b) < 2 {
			return errSubscription
		}
		size := int(int16(binary.BigEndian.Uint16(b)))
		if size < 0 || size > len(b)-2 {
			return errSubscription
		}
		topics[string(b[2:2+size])] = struct{}{}
		b = b[2+size:]
	}
	return nil
}
