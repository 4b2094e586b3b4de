// Package notify wakes goroutines that wait for a change. What changed is not sent along: the
// waiter looks for itself.
package notify

import "sync"

// Broadcast wakes all that wait. The zero value is ready for use.
type Broadcast struct {
	mu   sync.Mutex
	next chan struct{} // nil: no one waits
}

// Next returns a channel that is closed by the next Send. Call it before looking at what may
// have changed.
func (b *Broadcast) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Send wakes all that took a channel from Next.
func (b *Broadcast) Send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Signal wakes the one goroutine that receives from it. A signal that no one waits for is kept
// until someone does; more than one are one.
type Signal chan struct{}

// NewSignal returns a Signal that isn't set.
func NewSignal() Signal { return make(Signal, 1) }

// Set sets the signal. It never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
