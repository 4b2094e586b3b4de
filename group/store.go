package group

import (
	"time"

	"varve/group/offsets"
	"varve/metadata"
)

// maxRecordBytes bounds the record of a group, well within a transaction of the metadata
// store.
const maxRecordBytes = 1 << 20

// store is what of a group's record is stored and is to be stored, and who waits for it
// and for offsets. Changes gather while others are being stored and are stored next.
type store struct {
	recorded bool // there is, or will be, a record
	next     struct {
		record *metadata.Group
		drop   bool
		waits  []offsets.Waiter
	}
	flight *flight // what is being stored, if anything
	waits  waits
}

// flight is what is being stored of the record.
type flight struct {
	drop  bool
	waits []offsets.Waiter
}

// await makes a wait for as many values as parts, as long as requests wait for the store.
func (g *Group) await(parts int, done func(error)) offsets.Waiter {
	return g.waits.add(parts, g.out.Now.Add(g.cfg.CommitTimeout), done)
}

// awaitLong makes a wait for as many values as parts, as long as it takes.
func (g *Group) awaitLong(parts int, done func(error)) offsets.Waiter {
	return g.waits.add(parts, time.Time{}, done)
}

// settle is Settle: it waits for whatever has changed up to now.
func (g *Group) settle(e Settle) {
	changed := g.offsets.Unstored()
	if len(changed) == 0 {
		g.out.Reply(e.Ticket, SettleReply{})
		return
	}
	g.offsets.Await(changed, g.await(len(changed), func(err error) { g.out.Reply(e.Ticket, SettleReply{err}) }))
}

// storeRecord stores the group's record; done, if not nil, is told, after a wait of the
// given kind.
func (g *Group) storeRecord(rec *metadata.Group, wait func(int, func(error)) offsets.Waiter, done func(error)) {
	if recordSize(rec) > maxRecordBytes {
		g.out.Alarm("the group's members bring along more than the %d bytes that can be stored of a group, so it is not stored: let it have fewer members, or subscriptions and assignments that take less", maxRecordBytes)
		if done != nil {
			done(ErrRecordTooLarge)
		}
		return
	}
	g.recorded = true
	g.next.record = rec
	if done != nil {
		g.next.waits = append(g.next.waits, wait(1, done))
	}
}

// record is the group as it stands, with these assignments instead of the
// members' own if they are not nil.
func (g *Group) record(assignments map[string][]byte) *metadata.Group {
	r := &metadata.Group{ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol,
		Leader: g.leader, Since: g.since}
	for _, m := range g.members {
		o := metadata.GroupMember{ID: m.id, ClientID: m.clientID, ClientHost: m.clientHost, RebalanceTimeout: m.rebalance,
			SessionTimeout: m.session, Metadata: m.metadata(g.protocol), Assignment: m.assignment}
		if m.instance != nil {
			o.Static, o.Instance = true, *m.instance
		}
		if assignments != nil {
			o.Assignment = assignments[m.id]
		}
		r.Members = append(r.Members, o)
	}
	return r
}

func recordSize(r *metadata.Group) int {
	n := 64 + len(r.ProtocolType) + len(r.Protocol) + len(r.Leader)
	for _, m := range r.Members {
		n += 40 + len(m.ID) + len(m.Instance) + len(m.ClientID) + len(m.ClientHost) + len(m.Metadata) + len(m.Assignment)
	}
	return n
}

// flush has what has changed stored, if anything has and nothing is being stored. The record
// goes last when it is dropped, so that offsets never outlive it unnoticed.
func (g *Group) flush() {
	if g.flight != nil || !g.Busy() {
		return
	}
	f := &flight{}
	key, size := metadata.GroupKey(g.id), 0
	var ops []metadata.Op
	put := g.next.record != nil && !g.next.drop
	if put {
		size = recordSize(g.next.record)
		ops = append(ops, metadata.Put(key, g.next.record.Encode()))
	}
	values := g.offsets.Store(g.id, size)
	if f.drop = g.next.drop && g.offsets.Cleared(); f.drop {
		ops = append(ops, metadata.Delete(key))
	}
	if put || f.drop {
		f.waits = g.next.waits
		g.next.record, g.next.waits = nil, nil
	}
	g.flight = f
	g.out.Store(append(ops, values...))
}

// stored is told that what was being stored is durable.
func (g *Group) stored() {
	f := g.flight
	if f == nil {
		return
	}
	g.flight = nil
	g.waits.durable(append(g.offsets.Stored(), f.waits...))
	if f.drop {
		g.forget()
	}
}
