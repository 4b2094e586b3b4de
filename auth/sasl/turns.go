package sasl

import (
	"container/list"
	"context"
	"sync"
)

// turns lets a bounded number of passwords be hashed at a time. Sources that wait take turns,
// however many logins each of them has: who floods it keeps no other waiting.
type turns struct {
	mu struct {
		sync.Mutex
		free    int
		by      map[string]*waiters
		sources *list.List // of *waiters, the next one first; none while free > 0
	}
}

// waiters are those of a source.
type waiters struct {
	from string
	in   *list.List // of chan struct{}, the next one first; each is closed at its turn
	at   *list.Element
}

func newTurns(n int) *turns {
	t := &turns{}
	t.mu.free, t.mu.by, t.mu.sources = n, map[string]*waiters{}, list.New()
	return t
}

// take waits for a turn of a source. After nil, give must be called.
func (t *turns) take(ctx context.Context, from string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.mu.Lock()
	if t.mu.free > 0 {
		t.mu.free--
		t.mu.Unlock()
		return nil
	}
	w := t.mu.by[from]
	if w == nil {
		w = &waiters{from: from, in: list.New()}
		w.at = t.mu.sources.PushBack(w)
		t.mu.by[from] = w
	}
	turn := make(chan struct{})
	at := w.in.PushBack(turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-turn: // it came meanwhile
		t.next()
	default:
		t.leave(w, at)
	}
	return context.Cause(ctx)
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

// next hands a turn on, or keeps it. The lock is held.
func (t *turns) next() {
	first := t.mu.sources.Front()
	if first == nil {
		t.mu.free++
		return
	}
	w := first.Value.(*waiters)
	t.mu.sources.MoveToBack(first)
	at := w.in.Front()
	t.leave(w, at)
	close(at.Value.(chan struct{}))
}

// leave takes a waiter out. The lock is held.
func (t *turns) leave(w *waiters, at *list.Element) {
	w.in.Remove(at)
	if w.in.Len() == 0 {
		t.mu.sources.Remove(w.at)
		delete(t.mu.by, w.from)
	}
}
