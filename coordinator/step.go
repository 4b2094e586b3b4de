package coordinator

import (
	"time"
)

// start does a task now or when its machine is in memory.
func (s *slot) start(key string, t task) {
	if s.stopping {
		t.fail(ErrNotCoordinator)
		return
	}
	e := s.entries[key]
	if e == nil {
		// All machines in the store are known, so this one is new.
		e = s.enter(key)
		s.hold(e, s.c.kind.New(key))
	}
	e.used = time.Now()
	if e.m != nil {
		t.run(e)
		s.settle(e)
		return
	}
	if s.away {
		t.fail(ErrLoading)
		return
	}
	e.waiting = append(e.waiting, t)
	if !e.loading {
		s.read(e)
	}
}

// step brings an event to a machine in memory.
func (s *slot) step(e *entry, ev Event) {
	s.apply(e, e.m.Step(time.Now(), ev))
	s.settle(e)
}

// apply does what a machine asked for.
func (s *slot) apply(e *entry, effects []Effect) {
	for _, f := range effects {
		switch f := f.(type) {
		case Reply:
			s.calls.answer(f)
		case Store:
			s.write(e, f.Ops)
		case Note:
			s.note(e, f)
		case Count:
			s.c.kind.Metrics.Counts[f.What].Add(float64(f.N))
		}
	}
}

// settle takes note of what became of a machine in memory.
func (s *slot) settle(e *entry) {
	s.weigh(e)
	if s.entries[e.key] != e || e.m == nil {
		return
	}
	if e.m.Gone() {
		s.leave(e)
		return
	}
	s.show(e, e.m.State())
	wake := e.m.Wake()
	if idle := e.used.Add(s.c.cfg.UnloadAfter); e.m.Idle() && (wake.IsZero() || idle.Before(wake)) {
		wake = idle
	}
	if wake.IsZero() {
		wake = time.Now().Add(s.c.cfg.UnloadAfter)
	}
	s.schedule(e, wake)
}

// calls are the requests that machines have not answered.
type calls struct {
	open map[Ticket]chan any
	last Ticket
}

// ticket makes a request's ticket; answers has room for one.
func (c *calls) ticket(answers chan any) Ticket {
	if c.open == nil {
		c.open = map[Ticket]chan any{}
	}
	c.last++
	c.open[c.last] = answers
	return c.last
}

// answer answers a request, once.
func (c *calls) answer(r Reply) {
	if answers, ok := c.open[r.Ticket]; ok {
		delete(c.open, r.Ticket)
		answers <- r.Answer
	}
}

// alarmEvery bounds the alarms of one machine: a client that is refused tries again and again.
const (
	alarmEvery = time.Minute
	maxAlarmed = 1000 // machines that are remembered for that
)

// alarms remembers when something was last said that an operator has to do about a machine.
type alarms map[string]time.Time

// due reports whether an alarm may be said now.
func (a *alarms) due(key string, now time.Time) bool {
	if now.Sub((*a)[key]) < alarmEvery {
		return false
	}
	if *a == nil || len(*a) >= maxAlarmed {
		*a = alarms{}
	}
	(*a)[key] = now
	return true
}

func (s *slot) note(e *entry, n Note) {
	switch {
	case !n.Alarm:
		s.c.log.Info(n.Text, s.c.kind.Name, e.key)
	case s.alarms.due(e.key, time.Now()):
		s.c.log.Error(n.Text, s.c.kind.Name, e.key)
	}
}
