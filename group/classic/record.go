package classic

import "varve/metadata/schema"

// maxRecordBytes bounds the record of a group, well within a transaction of the metadata
// store.
const maxRecordBytes = 1 << 20

// keep has the group's record stored, with these assignments instead of the members' own if
// they are not nil; see Store.
func (g *generations) keep(assignments map[string][]byte, patient bool, done func(error)) {
	rec := g.record(assignments)
	if RecordSize(rec) > maxRecordBytes {
		g.out.Alarm("the group's members bring along more than the %d bytes that can be stored of a group, so it is not stored: let it have fewer members, or subscriptions and assignments that take less", maxRecordBytes)
		if done != nil {
			done(ErrRecordTooLarge)
		}
		return
	}
	g.store.Keep(rec, patient, done)
}

// record is the group as it stands.
func (g *generations) record(assignments map[string][]byte) *schema.Group {
	rec := &schema.Group{ProtocolType: g.protocolType, Generation: g.number, Protocol: g.protocol,
		Leader: g.leader, Since: g.since}
	for _, m := range g.members {
		assignment := m.assignment
		if assignments != nil {
			assignment = assignments[m.id]
		}
		rec.Members = append(rec.Members, m.record(g.protocol, assignment))
	}
	return rec
}

// RecordSize bounds what a record takes in the store, in bytes.
func RecordSize(r *schema.Group) int {
	n := 64 + len(r.ProtocolType) + len(r.Protocol) + len(r.Leader)
	for _, m := range r.Members {
		n += 40 + len(m.ID) + len(m.Instance) + len(m.ClientID) + len(m.ClientHost) + len(m.Metadata) + len(m.Assignment)
	}
	return n
}
