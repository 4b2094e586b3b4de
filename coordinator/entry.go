package coordinator

import (
	"time"

	"varve/metadata"
)

// entry is what a slot knows of one machine. Idle machines that were not used for a while
// are only in the store.
type entry struct {
	key     string
	m       Machine // nil: not in memory
	summary any     // while not in memory
	mods    map[string]metadata.Revision
	loading bool
	tidying bool // being read because it expires
	refused int  // writes in a row that failed
	waiting []task
	used    time.Time
	woken   time.Time // when the machine had its last Tick
	shown   string    // the state in the metrics
	size    int       // as the coordinator counts it
}

// task is something to do with a machine; one of both is called.
type task struct {
	run  func(*entry)
	fail func(error)
}

// failWaiting answers all tasks that wait for the machine to be in memory.
func (e *entry) failWaiting(err error) {
	for _, t := range e.waiting {
		t.fail(err)
	}
	e.waiting = nil
}

// enter makes an entry; settle or a load shows it in the metrics.
func (s *slot) enter(key string) *entry {
	e := &entry{key: key, mods: map[string]metadata.Revision{}, shown: s.c.kind.Unread}
	s.entries[key] = e
	s.c.kind.Metrics.Machines.WithLabelValues(e.shown).Inc()
	return e
}

// hold puts a machine into memory.
func (s *slot) hold(e *entry, m Machine) {
	e.m = m
	s.c.kind.Metrics.Loaded.Inc()
	if s.away {
		s.apply(e, m.Step(time.Now(), StoreAway{true}))
	}
}

// drop takes a machine out of memory.
func (s *slot) drop(e *entry) {
	e.summary = e.m.Summary()
	e.m, e.mods = nil, nil
	s.weigh(e)
	s.c.kind.Metrics.Loaded.Dec()
}

// unload takes a machine out of memory if it is idle and was not used for long, until it
// expires.
func (s *slot) unload(e *entry, now time.Time) {
	switch {
	case !e.m.Idle() || now.Before(e.used.Add(s.c.cfg.UnloadAfter)):
	case len(e.mods) == 0:
		s.leave(e) // it was never stored
	default:
		at := e.m.Expiry()
		s.drop(e)
		s.expire(e, at, now)
	}
}

// leave forgets a machine that no longer exists.
func (s *slot) leave(e *entry) {
	delete(s.entries, e.key)
	s.weigh(e)
	s.wakes.Cancel(e)
	if e.m != nil {
		s.c.kind.Metrics.Loaded.Dec()
	}
	s.c.kind.Metrics.Machines.WithLabelValues(e.shown).Dec()
}

// weigh lets the coordinator know a machine's size.
func (s *slot) weigh(e *entry) {
	size := 0
	if e.m != nil && s.entries[e.key] == e {
		size = e.m.Size()
	}
	s.c.size.Add(int64(size - e.size))
	e.size = size
}

// show moves a machine to its state in the metrics.
func (s *slot) show(e *entry, state string) {
	if e.shown != state {
		s.c.kind.Metrics.Machines.WithLabelValues(e.shown).Dec()
		s.c.kind.Metrics.Machines.WithLabelValues(state).Inc()
		e.shown = state
	}
}
