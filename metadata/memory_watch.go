package metadata

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// maxWatchEvents is how many events wait for a slow watcher before it is given
// the whole state instead.
const maxWatchEvents = 64 << 10

// memoryWatch is a watch of a MemoryStore.
type memoryWatch struct {
	s      *MemoryStore
	prefix string
	out    chan Batch
	wake   chan struct{} // holds one token when there is something to take

	// Guarded by the Memory's lock. Invariant: lost means that pending is void.
	pending Batch
	lost    bool
}

// Watch implements Store.
func (s *MemoryStore) Watch(ctx context.Context, prefix string) <-chan Batch {
	w := &memoryWatch{s: s, prefix: prefix, out: make(chan Batch), wake: make(chan struct{}, 1)}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if !s.start(func() { w.run(ctx) }) {
		close(w.out)
		return w.out
	}
	s.m.mu.watches = append(s.m.mu.watches, w)
	w.lose()
	return w.out
}

// add appends the events of a revision; the lock is held.
func (w *memoryWatch) add(rev Revision, events []Event) {
	if w.lost {
		return
	}
	for _, e := range events {
		if strings.HasPrefix(e.KV.Key, w.prefix) {
			w.pending.Events = append(w.pending.Events, e)
			w.pending.Rev = rev
		}
	}
	if len(w.pending.Events) > maxWatchEvents {
		w.lose()
		return
	}
	w.poke()
}

// lose makes the watch begin again with the state; the lock is held.
func (w *memoryWatch) lose() {
	w.lost, w.pending = true, Batch{}
	w.poke()
}

func (w *memoryWatch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run delivers until the watcher or the store is done.
func (w *memoryWatch) run(ctx context.Context) {
	defer close(w.out)
	defer w.leave()
	for ctx.Err() == nil {
		b, changed := w.take()
		out := w.out
		if b.Rev == 0 {
			out = nil
		}
		select {
		case out <- b: // never ready without a batch
		case <-changed: // never ready with one
		case <-ctx.Done():
			return
		case <-w.s.ctx.Done():
			return
		}
	}
}

// take is the next batch, if there is one and the store can be reached, or else
// what to wait for.
func (w *memoryWatch) take() (Batch, <-chan struct{}) {
	m := w.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.mu.away || w.s.cutOff:
		return Batch{}, m.mu.changed
	case w.lost:
		b := Batch{Rev: m.mu.rev, Reset: true}
		for _, kv := range m.list(w.prefix) {
			b.Events = append(b.Events, Event{Type: EventPut, KV: kv.clone()})
		}
		w.lost = false
		return b, nil
	case len(w.pending.Events) > 0:
		b := w.pending
		w.pending = Batch{}
		for i := range b.Events {
			b.Events[i].KV = b.Events[i].KV.clone()
		}
		return b, nil
	}
	return Batch{}, w.wake
}

func (w *memoryWatch) leave() {
	w.s.m.mu.Lock()
	defer w.s.m.mu.Unlock()
	w.s.m.mu.watches = slices.DeleteFunc(w.s.m.mu.watches, func(o *memoryWatch) bool { return o == w })
}

// clone keeps callers from sharing a value's bytes with the store.
func (kv KV) clone() KV {
	kv.Value = bytes.Clone(kv.Value)
	return kv
}
