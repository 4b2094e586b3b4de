package group

import (
	"errors"
	"time"

	"varve/group/offsets"
	"varve/metadata"
)

// entry is what a slot knows of one group. Groups without members that nobody
// asked for in a while are kept in the store alone.
type entry struct {
	id       string
	g        *Group              // nil: not in memory
	listing  Listing             // while not in memory
	progress []offsets.Committed // while not in memory
	mods     map[string]metadata.Revision
	loading  bool
	tidying  bool // being read because something expires
	waiting  []task
	used     time.Time
	shown    State
	size     int // of its members, as the coordinator counts it
}

// enter makes an entry; settle or a load shows it in the metrics.
func (s *slot) enter(group string) *entry {
	e := &entry{id: group, mods: map[string]metadata.Revision{}, shown: Dead}
	s.entries[group] = e
	s.c.metrics.groups.WithLabelValues(e.shown.String()).Inc()
	return e
}

// weigh lets the coordinator know what a group's members take.
func (s *slot) weigh(e *entry) {
	size := 0
	if e.g != nil && s.entries[e.id] == e {
		size = e.g.size
	}
	s.c.members.Add(int64(size - e.size))
	e.size = size
}

// leave forgets a group that is not there any more.
func (s *slot) leave(e *entry) {
	delete(s.entries, e.id)
	s.weigh(e)
	s.wakes.Cancel(e)
	if e.g != nil {
		s.c.metrics.loaded.Dec()
	}
	s.c.metrics.groups.WithLabelValues(e.shown.String()).Dec()
}

// show moves a group to its state in the metrics.
func (s *slot) show(e *entry, state State) {
	if e.shown != state {
		s.c.metrics.groups.WithLabelValues(e.shown.String()).Dec()
		s.c.metrics.groups.WithLabelValues(state.String()).Inc()
		e.shown = state
	}
}

// unload takes a group out of memory if it was not used for long, until its
// first offset expires.
func (s *slot) unload(e *entry, now time.Time) {
	if !e.g.Idle() || now.Before(e.used.Add(s.c.cfg.UnloadAfter)) {
		return
	}
	if !e.g.recorded && e.g.offsets.Empty() {
		s.leave(e) // it was never stored
		return
	}
	if !e.g.offsets.Any() {
		// It is about to be deleted.
		s.schedule(e, e.g.Wake())
		return
	}
	e.listing, e.progress = e.g.List(), e.g.progress()
	s.schedule(e, e.g.Expiry())
	e.g, e.mods = nil, nil
	s.c.metrics.loaded.Dec()
}

// guards compare the keys of operations with their revisions that were seen last.
func (e *entry) guards(ops []metadata.Op) (guards []metadata.Guard) {
	for _, op := range ops {
		guards = append(guards, metadata.Guard{Key: op.Key, Mod: e.mods[op.Key]})
	}
	return guards
}

// stored takes note of the revisions of a transaction.
func (e *entry) stored(ops []metadata.Op, rev metadata.Revision) {
	for _, op := range ops {
		if op.Delete {
			delete(e.mods, op.Key)
		} else {
			e.mods[op.Key] = rev
		}
	}
}

// answerTo is what requests are answered that wait for a failed write.
func answerTo(err error) error {
	if errors.Is(err, metadata.ErrConflict) {
		return ErrNotCoordinator
	}
	return ErrUnavailable
}
