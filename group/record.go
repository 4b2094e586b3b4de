package group

import (
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/metadata"
	"varve/metadata/schema"
)

// record is what of a group's record is stored and is to be stored, and the requests that wait for it and
// for offsets. Changes gather while others are being stored and are stored next.
type record struct {
	cfg  *Config
	out  *coordinator.Effects // of the present step
	kept bool                 // there is, or will be, a record
	next struct {
		value *schema.Group
		drop  bool
		waits []offsets.Waiter
	}
	flight *flight // what is being stored, if anything
	waits  waits
}

// flight is what is being stored of the record; with it go offsets.
type flight struct {
	drop  bool
	waits []offsets.Waiter
}

// busy reports whether something is not stored yet.
func (r *record) busy() bool { return r.flight != nil || r.next.value != nil || r.next.drop }

// put has a value stored, for a waiting request.
func (r *record) put(value *schema.Group, waits ...offsets.Waiter) {
	r.kept = true
	r.next.value = value
	r.next.waits = append(r.next.waits, waits...)
}

// Keep is classic.Store.
func (r *record) Keep(value *schema.Group, patient bool, done func(error)) {
	switch {
	case done == nil:
		r.put(value)
	case patient:
		r.put(value, r.waits.add(1, time.Time{}, done))
	default:
		r.put(value, r.await(1, done))
	}
}

// await makes a wait for as many values as parts, as long as requests wait for the store.
func (r *record) await(parts int, done func(error)) offsets.Waiter {
	return r.waits.add(parts, r.out.Now.Add(r.cfg.CommitTimeout), done)
}

// flush has what has changed stored, if anything has and nothing is being stored. The record
// goes last when it is dropped, so that offsets never outlive it unnoticed.
func (g *Group) flush() {
	r := &g.record
	if r.flight != nil || !g.Busy() {
		return
	}
	f := &flight{}
	key, size := schema.GroupKey(g.id), 0
	var ops []metadata.Op
	put := r.next.value != nil && !r.next.drop
	if put {
		size = classic.RecordSize(r.next.value)
		ops = append(ops, metadata.Put(key, r.next.value.Encode()))
	}
	values := g.offsets.Store(g.id, size)
	if f.drop = r.next.drop && g.offsets.Cleared(); f.drop {
		ops = append(ops, metadata.Delete(key))
	}
	if put || f.drop {
		f.waits = r.next.waits
		r.next.value, r.next.waits = nil, nil
	}
	r.flight = f
	g.out.Store(append(ops, values...))
}

// stored handles the end of a successful write.
func (g *Group) stored() {
	f := g.record.flight
	if f == nil {
		return
	}
	g.record.flight = nil
	g.record.waits.durable(append(g.offsets.Stored(), f.waits...))
	if f.drop {
		g.forget()
	}
}
