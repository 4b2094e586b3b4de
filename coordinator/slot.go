package coordinator

import (
	"context"
	"sync"
	"time"

	"varve/internal/deadline"
	"varve/metadata"
)

// slot owns the machines of one slot: its goroutine alone touches them. Reading
// and writing the store is done by goroutines of their own, which bring their
// results back to it.
type slot struct {
	c      *Coordinator
	n      int
	guard  metadata.Guard  // of what the slot's ownership relies on
	ctx    context.Context // of readings and writings
	cancel context.CancelFunc
	inbox  chan func()
	ready  chan struct{} // closed when the machines are known
	stop   chan struct{} // closed to end
	ended  sync.Once
	done   chan struct{} // closed when run returned

	own // the goroutine's own
}

// own is what only a slot's goroutine touches.
type own struct {
	results  chan func()
	flying   int // goroutines that will bring a result
	entries  map[string]*entry
	wakes    deadline.Heap[*entry]
	timer    *time.Timer
	calls    calls
	alarms   alarms
	unsure   unsure
	tidying  int // loads in flight that no request asked for
	stopping bool
	away     bool // the store doesn't answer
}

func newSlot(c *Coordinator, n int, guard metadata.Guard) *slot {
	s := &slot{c: c, n: n, guard: guard, inbox: make(chan func()), ready: make(chan struct{}), stop: make(chan struct{}),
		done: make(chan struct{})}
	s.results, s.entries = make(chan func()), map[string]*entry{}
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

// close ends the slot: at once if its machines were never known, else when what
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
			s.resign(func(e *entry) bool { return !e.m.Busy() })
		}
	}
	s.resign(func(*entry) bool { return true })
	for _, e := range s.entries {
		s.leave(e)
	}
}

// resign answers all that is pending in the machines that are chosen; what is
// being stored gets its own answer first.
func (s *slot) resign(chosen func(*entry) bool) {
	for _, e := range s.entries {
		e.failWaiting(ErrNotCoordinator)
		if e.m != nil && chosen(e) {
			s.apply(e, e.m.Step(time.Now(), Resign{ErrNotCoordinator}))
		}
	}
}

// fly does I/O in a goroutine, and what it returns in the slot's own.
func (s *slot) fly(io func() func()) {
	s.flying++
	go func() { s.results <- io() }() // run takes every result before it returns
}
