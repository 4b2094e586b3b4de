package group

import (
	"encoding/binary"
	"errors"
)

// subscriptions are the topics that the members of a consumer group read, nil
// if that can't be told.
func (g *Group) subscriptions() map[string]struct{} {
	if g.protocolType != consumerProtocol || g.protocol == "" {
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
