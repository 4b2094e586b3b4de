package group

import (
	"cmp"
	"maps"
	"slices"

	"varve/metadata"
)

// Bounds of one Write, well within a transaction of the metadata store.
const (
	maxWriteShards = 64
	maxWriteBytes  = 768 << 10
	maxRecordBytes = 1 << 20
)

// store is what a group has stored and wants stored. Changes gather while a
// Write is under way and form the next, so that any number of commits cost a
// group one transaction at a time, in order.
type store struct {
	topicOffsets map[string]*topicOffsets
	offsetsSize  int     // of all offsets once all changes are stored
	dirty        []Shard // to be written, oldest first
	recorded     bool    // there is, or will be, a record

	next struct {
		record *metadata.Group
		drop   bool
		waits  []*wait
	}
	flight *flight // the Write under way, if any

	waits    map[uint64]*wait
	lastWait uint64
}

// flight is a Write under way.
type flight struct {
	shards []Shard
	record bool
	drop   bool
	waits  []*wait // for the record
}

// wait is a request that waits for one or more values to be durable. Its done
// is called once: with nil, or with what the group is resigned with, or with
// ErrAway when its patience ends; then the values may yet be stored.
type wait struct {
	id      uint64
	left    int
	done    func(error)
	patient bool // it waits for as long as the store is away
}

// newWait makes a wait for parts values, as long as requests wait for the store.
func (g *Group) newWait(parts int, done func(error)) *wait {
	w := g.patientWait(parts, done)
	w.patient = false
	g.timers.Set(timerKey{kind: timerWait, wait: w.id}, g.now.Add(g.cfg.CommitTimeout))
	return w
}

// patientWait makes a wait for parts values, as long as it takes.
func (g *Group) patientWait(parts int, done func(error)) *wait {
	g.lastWait++
	w := &wait{id: g.lastWait, left: parts, done: done, patient: true}
	if g.waits == nil {
		g.waits = map[uint64]*wait{}
	}
	g.waits[w.id] = w
	return w
}

func (g *Group) finish(w *wait, err error) {
	if g.waits[w.id] == nil {
		return
	}
	if w.left--; err == nil && w.left > 0 {
		return
	}
	delete(g.waits, w.id)
	g.timers.Cancel(timerKey{kind: timerWait, wait: w.id})
	w.done(err)
}

// waitOver is the end of a request's patience.
func (g *Group) waitOver(id uint64) {
	if w := g.waits[id]; w != nil {
		g.finish(w, ErrAway)
	}
}

// failWaits ends all waits; ErrAway ends those that have no patience.
func (g *Group) failWaits(err error) {
	for _, id := range slices.Sorted(maps.Keys(g.waits)) {
		if w := g.waits[id]; w != nil && !(w.patient && err == ErrAway) {
			g.finish(w, err)
		}
	}
}

// busy says whether something is not stored yet.
func (g *Group) busy() bool {
	return g.flight != nil || len(g.dirty) > 0 || g.next.record != nil || g.next.drop
}

// settle is Settle: it waits for whatever has changed up to now.
func (g *Group) settle(e Settle) {
	var busy []*part
	for _, p := range g.parts() {
		if len(p.staged) > 0 || len(p.flight) > 0 {
			busy = append(busy, p)
		}
	}
	if len(busy) == 0 {
		g.reply(e.Ticket, SettleReply{})
		return
	}
	w := g.newWait(len(busy), func(err error) { g.reply(e.Ticket, SettleReply{err}) })
	for _, p := range busy {
		if len(p.staged) > 0 {
			p.stagedWaits = append(p.stagedWaits, w)
		} else {
			p.flightWaits = append(p.flightWaits, w)
		}
	}
}

// storeRecord stores the group's record; done, if not nil, is told, after a wait of the
// given kind.
func (g *Group) storeRecord(rec *metadata.Group, wait func(int, func(error)) *wait, done func(error)) {
	if recordSize(rec) > maxRecordBytes {
		g.alarm("the group's members bring along more than the %d bytes that can be stored of a group, so it is not stored: let it have fewer members, or subscriptions and assignments that take less", maxRecordBytes)
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

// flush begins the next Write if there is something to write and none under
// way. The record goes last when it is dropped, so that offsets never outlive
// it unnoticed.
func (g *Group) flush() {
	if g.flight != nil || !g.busy() {
		return
	}
	f := &flight{}
	w := Write{Offsets: map[Shard]metadata.Offsets{}}
	size := 0
	if g.next.record != nil && !g.next.drop {
		f.record, w.Record = true, g.next.record
		size = recordSize(w.Record)
	}
	for len(g.dirty) > 0 && len(f.shards) < maxWriteShards {
		at := g.dirty[0]
		p := g.part(at)
		n := maxValueBytes + p.size + 2*len(metadata.OffsetsShardKey(g.id, at.Topic, at.N)) // a guard, and a write
		if size += n; size > maxWriteBytes && size > n {
			break
		}
		g.dirty = g.dirty[1:]
		f.shards = append(f.shards, at)
		w.Offsets[at] = p.wanted()
		p.queued = false
		p.flight, p.staged = p.staged, nil
		p.flightWaits, p.stagedWaits = p.stagedWaits, nil
	}
	for _, at := range f.shards {
		if g.topicOffsets[at.Topic].mixed && !slices.Contains(f.shards, Shard{Topic: at.Topic}) {
			w.Kept = append(w.Kept, at)
		}
	}
	if g.next.drop && len(g.dirty) == 0 && !g.mixed() {
		f.drop, w.Drop = true, true
	}
	if f.record || f.drop {
		f.waits = g.next.waits
		g.next.record, g.next.waits = nil, nil
	}
	g.flight = f
	g.out = append(g.out, w)
}

// written ends the Write under way.
func (g *Group) written() {
	f := g.flight
	if f == nil {
		return
	}
	g.flight = nil
	var waits []*wait
	for _, at := range f.shards {
		p := g.part(at)
		p.apply()
		waits = append(waits, p.flightWaits...)
		p.flight, p.flightWaits = nil, nil
		g.unmix(at)
	}
	for _, at := range f.shards {
		g.tidy(at)
	}
	waits = append(waits, f.waits...)
	slices.SortStableFunc(waits, func(a, b *wait) int { return cmp.Compare(a.id, b.id) })
	for _, w := range waits {
		g.finish(w, nil)
	}
	if f.drop {
		g.forget()
	}
}
