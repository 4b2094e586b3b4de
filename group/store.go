package group

import (
	"cmp"
	"maps"
	"slices"

	"varve/metadata"
)

// Bounds of one Write, well within a transaction of the metadata store.
const (
	maxWriteTopics = 64
	maxWriteBytes  = 768 << 10
	maxTopicBytes  = 1 << 20 // of one topic's offsets: of 29,000 partitions and more
	maxRecordBytes = 1 << 20
	maxOffsetBytes = 36 // of one offset, without its metadata
)

// store is what a group has stored and wants stored. Changes gather while a
// Write is under way and form the next, so that any number of commits cost a
// group one transaction at a time, in order.
type store struct {
	parts    map[string]*part // by topic
	dirty    []string         // topics with staged changes, oldest first
	recorded bool             // there is, or will be, a record

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
	topics []string
	record bool
	drop   bool
	waits  []*wait // for the record
}

// part is one topic's offsets.
type part struct {
	durable     metadata.Offsets
	flight      map[int32]change
	staged      map[int32]change
	flightWaits []*wait
	stagedWaits []*wait
}

// change is a new value of a partition's offset, or its end.
type change struct {
	gone bool
	metadata.OffsetCommit
}

func newPart(durable metadata.Offsets) *part {
	if durable == nil {
		durable = metadata.Offsets{}
	}
	return &part{durable: durable}
}

// wanted are the offsets once all changes are stored.
func (p *part) wanted() metadata.Offsets {
	o := maps.Clone(p.durable)
	for _, changes := range []map[int32]change{p.flight, p.staged} {
		for index, c := range changes {
			if c.gone {
				delete(o, index)
			} else {
				o[index] = c.OffsetCommit
			}
		}
	}
	return o
}

// has says whether a partition has an offset once all changes are stored.
func (p *part) has(index int32) bool {
	for _, changes := range []map[int32]change{p.staged, p.flight} {
		if c, ok := changes[index]; ok {
			return !c.gone
		}
	}
	_, ok := p.durable[index]
	return ok
}

// sizeOf bounds what offsets take in the store.
func sizeOf(o metadata.Offsets) int {
	n := 64
	for _, c := range o {
		n += maxOffsetBytes + len(c.Metadata)
	}
	return n
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
	g.timers.set(timerKey{kind: timerWait, wait: w.id}, g.now.Add(g.cfg.CommitTimeout))
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
	g.timers.cancel(timerKey{kind: timerWait, wait: w.id})
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
	for _, p := range g.parts {
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

// stage changes one partition's offset.
func (g *Group) stage(topic string, index int32, c change) {
	p := g.parts[topic]
	if p == nil {
		p = newPart(nil)
		g.parts[topic] = p
	}
	if len(p.staged) == 0 {
		p.staged = map[int32]change{}
		g.dirty = append(g.dirty, topic)
	}
	p.staged[index] = c
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
	w := Write{Offsets: map[string]metadata.Offsets{}}
	size := 0
	if g.next.record != nil && !g.next.drop {
		f.record, w.Record = true, g.next.record
		size = recordSize(w.Record)
	}
	for len(g.dirty) > 0 && len(f.topics) < maxWriteTopics {
		topic := g.dirty[0]
		p := g.parts[topic]
		offsets := p.wanted()
		n := sizeOf(offsets) + 2*len(metadata.OffsetsKey(g.id, topic)) // a guard, and a write
		if size += n; size > maxWriteBytes && size > n {
			break
		}
		g.dirty = g.dirty[1:]
		f.topics = append(f.topics, topic)
		w.Offsets[topic] = offsets
		p.flight, p.staged = p.staged, nil
		p.flightWaits, p.stagedWaits = p.stagedWaits, nil
	}
	if g.next.drop && len(g.dirty) == 0 {
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
	for _, topic := range f.topics {
		p := g.parts[topic]
		p.apply()
		waits = append(waits, p.flightWaits...)
		p.flight, p.flightWaits = nil, nil
		if len(p.durable) == 0 && len(p.staged) == 0 {
			delete(g.parts, topic)
		}
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

// apply makes what was in flight durable.
func (p *part) apply() {
	for index, c := range p.flight {
		if c.gone {
			delete(p.durable, index)
		} else {
			p.durable[index] = c.OffsetCommit
		}
	}
}
