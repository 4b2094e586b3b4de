// Package deadline keeps deadlines in order, at most one for each key. It reads no clock.
package deadline

import (
	"container/heap"
	"time"
)

// Heap holds deadlines by key. Deadlines of the same time are due in the order in which
// they were set, so that the same calls give the same order. The zero Heap is empty. Only
// one goroutine may use it at a time.
type Heap[K comparable] struct {
	items order[K]
	byKey map[K]*item[K]
	last  uint64
}

type item[K comparable] struct {
	key   K
	at    time.Time
	order uint64 // of setting
	index int    // in the heap
}

// Set makes or moves the deadline of a key.
func (h *Heap[K]) Set(key K, at time.Time) {
	h.last++
	if i := h.byKey[key]; i != nil {
		i.at, i.order = at, h.last
		heap.Fix(&h.items, i.index)
		return
	}
	if h.byKey == nil {
		h.byKey = map[K]*item[K]{}
	}
	i := &item[K]{key: key, at: at, order: h.last}
	h.byKey[key] = i
	heap.Push(&h.items, i)
}

// Cancel drops the deadline of a key, if there is one.
func (h *Heap[K]) Cancel(key K) {
	if i := h.byKey[key]; i != nil {
		heap.Remove(&h.items, i.index)
		delete(h.byKey, key)
	}
}

// Has reports whether a key has a deadline.
func (h *Heap[K]) Has(key K) bool { return h.byKey[key] != nil }

// Next returns the first deadline, the zero time if there is none.
func (h *Heap[K]) Next() time.Time {
	if len(h.items) == 0 {
		return time.Time{}
	}
	return h.items[0].at
}

// Pop drops the first deadline and returns its key, if it is due.
func (h *Heap[K]) Pop(now time.Time) (key K, due bool) {
	if len(h.items) == 0 || h.items[0].at.After(now) {
		return key, false
	}
	first := heap.Pop(&h.items).(*item[K])
	delete(h.byKey, first.key)
	return first.key, true
}

// order is the heap's heap.Interface.
type order[K comparable] []*item[K]

func (o order[K]) Len() int { return len(o) }

func (o order[K]) Less(i, j int) bool {
	if !o[i].at.Equal(o[j].at) {
		return o[i].at.Before(o[j].at)
	}
	return o[i].order < o[j].order
}

func (o order[K]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

func (o *order[K]) Push(x any) {
	i := x.(*item[K])
	i.index = len(*o)
	*o = append(*o, i)
}

func (o *order[K]) Pop() any {
	old := *o
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*o = old[:len(old)-1]
	return last
}
