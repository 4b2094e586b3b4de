package group

import (
	"context"
	"sync"
	"time"

	"varve/internal/deadline"
	"varve/metadata"
)

// slot owns the groups of one slot: its goroutine alone touches them. Reading
// and writing the store is done by goroutines of their own, which bring their
// results back to it.
type slot struct {
	alarmed map[string]time.Time // when something was last said that an operator has to do about a group
	c       *Coordinator
	n       int
	guard   metadata.Guard  // of what the slot's ownership relies on
	ctx     context.Context // of readings and writings
	cancel  context.CancelFunc
	inbox   chan func()
	ready   chan struct{} // closed when the groups are known
	stop    chan struct{} // closed to end
	ended   sync.Once
	done    chan struct{} // closed when run returned

	// Below is the goroutine's own.
	results    chan func()
	flying     int // goroutines that will bring a result
	entries    map[string]*entry
	wakes      deadline.Heap[*entry]
	timer      *time.Timer
	calls      map[Ticket]chan any
	lastTicket Ticket
	tidying    int // readings that nobody asked for
	stopping   bool
	away       bool         // the store doesn't answer
	asking     bool         // whether the slot is still ours
	unsure     []chan error // wait for the next time that is asked
}

// maxTidying bounds the groups that a slot reads at once to see what expired.
const maxTidying = 4

// task is something to do with a group; one of both is called.
type task struct {
	run  func(*entry)
	fail func(error)
}

func newSlot(c *Coordinator, n int, guard metadata.Guard) *slot {
	s := &slot{c: c, n: n, guard: guard, inbox: make(chan func()), ready: make(chan struct{}), stop: make(chan struct{}),
		done: make(chan struct{}), results: make(chan func()), entries: map[string]*entry{},
		calls: map[Ticket]chan any{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// send brings a function to the goroutine.
func (s *slot) send(ctx context.Context, f func()) error {
	select {
	case <-s.ready:
	default:
		return ErrLoading
	}
	select {
	case s.inbox <- f:
		return nil
	case <-s.stop:
		return ErrNotCoordinator
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the slot: at once if its groups were never known, else when what
// is under way is stored, or ctx ends.
func (s *slot) close(ctx context.Context) {
	s.ended.Do(func() { close(s.stop) })
	select {
	case <-s.ready:
	default:
		s.cancel()
		return
	}
	defer s.cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel()
		<-s.done
	}
}

// run serves until the slot is closed and nothing is under way.
func (s *slot) run() {
	defer close(s.done)
	s.timer = time.NewTimer(time.Hour)
	defer s.timer.Stop()
	stop := s.stop
	for !s.stopping || s.flying > 0 {
		s.arm()
		select {
		case f := <-s.inbox:
			f()
		case f := <-s.results:
			s.flying--
			f()
		case <-s.timer.C:
			s.tick()
		case <-stop:
			stop, s.stopping = nil, true
			s.resign(func(e *entry) bool { return !e.g.busy() })
		}
	}
	s.resign(func(*entry) bool { return true })
	for _, e := range s.entries {
		s.leave(e)
	}
}

// resign answers all that is pending in the groups that are chosen; what is
// being stored gets its own answer first.
func (s *slot) resign(chosen func(*entry) bool) {
	for _, e := range s.entries {
		for _, t := range e.waiting {
			t.fail(ErrNotCoordinator)
		}
		e.waiting = nil
		if e.g != nil && chosen(e) {
			s.apply(e, e.g.Step(time.Now(), Resign{ErrNotCoordinator}))
		}
	}
}

// start does a task now or when its group is in memory.
func (s *slot) start(group string, t task) {
	if s.stopping {
		t.fail(ErrNotCoordinator)
		return
	}
	e := s.entries[group]
	if e == nil {
		// All groups in the store are known, so this one is new.
		e = s.enter(group)
		s.hold(e, New(group, &s.c.cfg))
	}
	e.used = time.Now()
	if e.g != nil {
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

// hold puts a group into memory.
func (s *slot) hold(e *entry, g *Group) {
	e.g = g
	g.away = s.away
	s.c.metrics.loaded.Inc()
}

func (s *slot) ticket(answers chan any) Ticket {
	s.lastTicket++
	s.calls[s.lastTicket] = answers
	return s.lastTicket
}

// step brings an event to a group in memory.
func (s *slot) step(e *entry, ev Event) {
	s.apply(e, e.g.Step(time.Now(), ev))
	s.settle(e)
}

// apply does what a group wants done.
func (s *slot) apply(e *entry, effects []Effect) {
	for _, f := range effects {
		switch f := f.(type) {
		case Reply:
			if answers, ok := s.calls[f.Ticket]; ok {
				delete(s.calls, f.Ticket)
				answers <- f.Answer // has room for one, and there is but one
			}
		case Store:
			s.write(e, f.Ops)
		case Note:
			s.note(e, f)
		case Count:
			s.c.metrics.counts[f.What].Add(float64(f.N))
		}
	}
}

// alarmEvery bounds the alarms of one group: who is refused tries again and again.
const (
	alarmEvery = time.Minute
	maxAlarmed = 1000 // groups that are remembered for that
)

func (s *slot) note(e *entry, n Note) {
	if !n.Alarm {
		s.c.log.Info(n.Text, "group", e.id)
		return
	}
	now := time.Now()
	if now.Sub(s.alarmed[e.id]) < alarmEvery {
		return
	}
	if s.alarmed == nil || len(s.alarmed) >= maxAlarmed {
		s.alarmed = map[string]time.Time{}
	}
	s.alarmed[e.id] = now
	s.c.log.Error(n.Text, "group", e.id)
}

// settle takes note of what became of a group in memory.
func (s *slot) settle(e *entry) {
	s.weigh(e)
	if s.entries[e.id] != e || e.g == nil {
		return
	}
	if !e.g.Exists() && !e.g.busy() {
		s.leave(e)
		return
	}
	s.show(e, e.g.State())
	wake := e.g.Wake()
	if idle := e.used.Add(s.c.cfg.UnloadAfter); e.g.Idle() && (wake.IsZero() || idle.Before(wake)) {
		wake = idle
	}
	if wake.IsZero() {
		wake = time.Now().Add(s.c.cfg.UnloadAfter)
	}
	s.schedule(e, wake)
}

// list shows all groups.
func (s *slot) list() (l []Listing) {
	for _, e := range s.entries {
		if e.g == nil {
			l = append(l, e.listing)
		} else if e.g.Exists() {
			l = append(l, e.g.List())
		}
	}
	return l
}

// write stores a group's values, each guarded by the revision at which it was
// last seen.
func (s *slot) write(e *entry, ops []metadata.Op) {
	guards := e.guards(ops)
	if s.guard.Key != "" {
		guards = append(guards, s.guard)
	}
	g := e.g
	s.fly(func() func() {
		var rev metadata.Revision
		err := s.c.keepPace(s.ctx, ops)
		if err == nil {
			rev, err = s.c.writer.Write(s.ctx, guards, ops...)
		}
		return func() { s.wrote(e, g, ops, rev, err) }
	})
}

// keepPace waits until as much may be written. Commits that come meanwhile go together
// in the group's next write.
func (c *Coordinator) keepPace(ctx context.Context, ops []metadata.Op) error {
	n := 0
	for _, o := range ops {
		n += len(o.Key) + len(o.Value)
	}
	return c.pace.WaitN(ctx, min(n, c.pace.Burst()))
}

// fly does I/O in a goroutine, and what it returns in the slot's own.
func (s *slot) fly(io func() func()) {
	s.flying++
	go func() { s.results <- io() }() // run takes every result before it returns
}

// wrote is the end of a write. After a failure nothing is known for sure of
// what the store holds: the group is read anew.
func (s *slot) wrote(e *entry, g *Group, ops []metadata.Op, rev metadata.Revision, err error) {
	if e.g != g {
		return
	}
	if err == nil {
		e.stored(ops, rev)
		s.step(e, Stored{})
		return
	}
	s.c.metrics.conflicts.Inc()
	s.c.log.Warn("group could not be stored; it is read anew", "group", e.id, "err", err)
	s.apply(e, g.Step(time.Now(), Resign{answerTo(err)}))
	e.g, e.mods = nil, nil
	s.weigh(e)
	e.listing, e.progress = g.List(), g.progress()
	s.c.metrics.loaded.Dec()
	if s.ctx.Err() == nil {
		s.read(e)
	}
}
