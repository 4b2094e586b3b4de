package agent

import (
	"fmt"
	"time"
)

const (
	// hungLeases is for how many times session_ttl one call may be under way before
	// this agent's disk counts as hanging. It could store nothing, and go on for ever:
	// its session lives, so that its place would not be taken, and it would be given more.
	hungLeases = 5
	// hungGrace is how long after that the agent may take to end in order.
	hungGrace = 10 * time.Second
)

// watchDisk ends this agent when its disk doesn't answer, and the process if then the
// agent doesn't end, as it waits for that disk, too. It goes on until the result is
// called. What counts is how often a call is seen under way: a process that stood still
// has seen nothing.
func (p *process) watchDisk() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := p.cfg.SessionTTL / 2
		tick := time.NewTicker(every)
		defer tick.Stop()
		var oldest uint64
		var since time.Duration
		var hung error
		for {
			select {
			case <-tick.C:
			case <-over:
				return
			}
			n, what := p.disk.Oldest()
			if since += every; n == 0 || n != oldest {
				oldest, since = n, 0
				continue
			}
			switch limit := hungLeases * p.cfg.SessionTTL; {
			case since < limit:
			case hung == nil:
				hung = fmt.Errorf("the disk under %s has not answered for %v (%s)", p.cfg.DataDir, since, what)
				p.die(hung)
			case since >= limit+hungGrace && p.deps.Exit != nil:
				p.deps.Exit(hung)
				return
			}
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}
