package coordinator

import "time"

const (
	// wakeGap is the least time between two Ticks of one machine, so that one which asks
	// to be woken without end leaves the slot's goroutine to the others.
	wakeGap = 5 * time.Millisecond
	// maxTidying bounds the machines that a slot reads at once because they expire.
	maxTidying = 4
	// tidyLater is how long a machine that isn't in memory is left alone at least, whatever
	// its Expiry, and when it is tried again if as many are being read.
	tidyLater = time.Second
)

// arm sets the timer to the first deadline.
func (s *slot) arm() {
	d := time.Hour
	if first := s.wakes.Next(); !first.IsZero() && !s.stopping {
		d = time.Until(first)
	}
	s.timer.Reset(max(d, 0))
}

// schedule sets when an entry is woken.
func (s *slot) schedule(e *entry, at time.Time) {
	s.wakes.Set(e, later(at, e.woken.Add(wakeGap)))
}

// expire sets when a machine that isn't in memory is loaded again; never if at is zero.
func (s *slot) expire(e *entry, at, now time.Time) {
	if at.IsZero() {
		s.wakes.Cancel(e)
		return
	}
	s.schedule(e, later(at, now.Add(tidyLater)))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// tick wakes the machines whose time has come.
func (s *slot) tick() {
	now := time.Now()
	for {
		e, due := s.wakes.Pop(now)
		if !due {
			return
		}
		switch {
		case e.loading:
			s.schedule(e, now.Add(s.c.cfg.ReadTimeout))
		case e.m == nil && s.tidying < maxTidying:
			s.tidying++
			e.tidying = true
			s.schedule(e, now.Add(s.c.cfg.ReadTimeout))
			s.read(e)
		case e.m == nil:
			s.schedule(e, now.Add(tidyLater))
		default:
			e.woken = now
			s.step(e, Tick{})
			if s.entries[e.key] == e && e.m != nil {
				s.unload(e, now)
			}
		}
	}
}
