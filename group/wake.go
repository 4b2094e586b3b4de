package group

import (
	"container/heap"
	"time"
)

// arm sets the timer to the first deadline.
func (s *slot) arm() {
	d := time.Hour
	if len(s.wakes) > 0 && !s.stopping {
		d = time.Until(s.wakes[0].wake)
	}
	s.timer.Reset(max(d, 0))
}

// tick wakes the groups whose time has come.
func (s *slot) tick() {
	now := time.Now()
	for len(s.wakes) > 0 && !s.wakes[0].wake.After(now) {
		e := s.wakes[0]
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

// entryHeap orders entries by when they want to be woken.
type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *entryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}

// schedule sets when an entry is woken.
func (s *slot) schedule(e *entry, at time.Time) {
	e.wake = at
	if e.index < 0 {
		heap.Push(&s.wakes, e)
		return
	}
	heap.Fix(&s.wakes, e.index)
}
