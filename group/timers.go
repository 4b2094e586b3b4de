package group

import (
	"container/heap"
	"time"
)

// timerKind says what a timer is for.
type timerKind uint8

const (
	timerSession   timerKind = iota // of a member, or of an id that was given out
	timerJoin                       // the end of the join phase
	timerSync                       // the end of the sync phase
	timerWait                       // a request's patience with the store
	timerRetention                  // the next look at expired offsets
	timerAssigned                   // the patience of Syncs with the store
)

type timerKey struct {
	kind   timerKind
	member string // of timerSession
	wait   uint64 // of timerWait
}

type timer struct {
	key   timerKey
	at    time.Time
	order uint64 // of setting; breaks ties, so that the same events give the same effects
	index int
}

// timers is a heap of deadlines with at most one for each key.
type timers struct {
	heap  timerHeap
	byKey map[timerKey]*timer
	order uint64
}

// set makes or moves a timer.
func (t *timers) set(key timerKey, at time.Time) {
	t.cancel(key)
	t.order++
	n := &timer{key: key, at: at, order: t.order}
	if t.byKey == nil {
		t.byKey = map[timerKey]*timer{}
	}
	t.byKey[key] = n
	heap.Push(&t.heap, n)
}

func (t *timers) cancel(key timerKey) {
	if old := t.byKey[key]; old != nil {
		heap.Remove(&t.heap, old.index)
		delete(t.byKey, key)
	}
}

// next is the first deadline; zero if there is none.
func (t *timers) next() time.Time {
	if len(t.heap) == 0 {
		return time.Time{}
	}
	return t.heap[0].at
}

// pop takes the first timer that is due.
func (t *timers) pop(now time.Time) (timerKey, bool) {
	if len(t.heap) == 0 || t.heap[0].at.After(now) {
		return timerKey{}, false
	}
	first := heap.Pop(&t.heap).(*timer)
	delete(t.byKey, first.key)
	return first.key, true
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	n := x.(*timer)
	n.index = len(*h)
	*h = append(*h, n)
}

func (h *timerHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return n
}
