package group

import (
	"time"
)

// arm sets the timer to the first deadline.
func (s *slot) arm() {
	d := time.Hour
	if first := s.wakes.Next(); !first.IsZero() && !s.stopping {
		d = time.Until(first)
	}
	s.timer.Reset(max(d, 0))
}

// tick wakes the groups whose time has come.
func (s *slot) tick() {
	now := time.Now()
	for {
		e, due := s.wakes.Pop(now)
		if !due {
			return
		}
		switch {
		case e.loading:
			s.schedule(e, now.Add(s.c.cfg.CommitTimeout))
		case e.g == nil && s.tidying < maxTidying:
			s.tidying++
			e.tidying = true
			s.schedule(e, now.Add(s.c.cfg.CommitTimeout))
			s.read(e)
		case e.g == nil:
			s.schedule(e, now.Add(time.Second))
		default:
			s.step(e, Tick{})
			if s.entries[e.id] == e && e.g != nil {
				s.unload(e, now)
			}
		}
	}
}

// schedule sets when an entry is woken.
func (s *slot) schedule(e *entry, at time.Time) { s.wakes.Set(e, at) }
