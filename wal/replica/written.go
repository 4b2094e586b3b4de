package replica

import (
	"sync"

	"varve/internal/id"
)

// written are the journals that this agent writes, or wrote and keeps still.
type written struct {
	mu struct {
		sync.Mutex
		journals map[id.Journal]*journal
		changed  chan struct{} // closed and replaced, see Node.Changed
	}
}

func newWritten() *written {
	w := new(written)
	w.mu.journals = map[id.Journal]*journal{}
	w.mu.changed = make(chan struct{})
	return w
}

func (w *written) add(x *journal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.journals[x.id] = x
}

// get returns a journal; nil if this agent doesn't write it.
func (w *written) get(j id.Journal) *journal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.journals[j]
}

func (w *written) all() (all []*journal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.mu.journals {
		all = append(all, x)
	}
	return all
}

// dropped forgets what replicated a journal that this agent wrote and left.
func (w *written) dropped(j id.Journal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.mu.journals[j]; x != nil && x.isLeft() {
		delete(w.mu.journals, j)
	}
}

// changes is Node.Changed.
func (w *written) changes() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.changed
}

// touch wakes those that wait for a change.
func (w *written) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.mu.changed)
	w.mu.changed = make(chan struct{})
}
