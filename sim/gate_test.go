package sim

import "sync"

// gate is what all that an agent does to the world has to pass: a process that stands
// still does nothing, one that is gone fails. Goroutines can't be stopped from
// outside, so that a paused agent may still compute; what it computed takes effect
// when it wakes up, as a zombie's does.
type gate struct {
	mu   sync.Mutex
	gone bool
	held chan struct{} // closed when it may go on; nil: it may
}

// pass waits while the process stands still.
func (g *gate) pass() error {
	for {
		g.mu.Lock()
		gone, held := g.gone, g.held
		g.mu.Unlock()
		if gone {
			return errPower
		}
		if held == nil {
			return nil
		}
		<-held
	}
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.held = make(chan struct{})
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}
