package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"varve/admin"
	"varve/health"
)

// startup is how far a start is.
type startup struct {
	started chan struct{}          // closed when it is over
	awaits  atomic.Pointer[string] // what it is about, or waits for
	console atomic.Pointer[console]
}

func newStartup() *startup { return &startup{started: make(chan struct{})} }

// Started is closed once clients are served.
func (s *startup) Started() <-chan struct{} { return s.started }

// over ends the start: operators are answered from now on.
func (s *startup) over(c *console) {
	s.console.Store(c)
	close(s.started)
}

// Console answers operators; it is there once Started is closed.
func (s *startup) Console() admin.Console { return s.console.Load() }

// hasStarted reports whether all parts are there.
func (s *startup) hasStarted() bool {
	select {
	case <-s.started:
		return true
	default:
		return false
	}
}

// stands notes what a start is about, or waits for.
func (s *startup) stands(at string) { s.awaits.Store(&at) }

// starting reports what a start is about; "" once it is over.
func (s *startup) starting() string {
	if s.hasStarted() {
		return ""
	}
	if at := s.awaits.Load(); at != nil {
		return "the agent is starting: it is about " + *at
	}
	return "the agent is starting"
}

// NotReady lists why this agent doesn't serve what it owns.
func (s *startup) NotReady() []string {
	if text := s.starting(); text != "" {
		self := health.Self{Starting: text}
		return self.NotReady()
	}
	return s.console.Load().inspect.notReady()
}

// What agents ask of each other, see replica.Node.Tell.
const (
	tellReport uint32 = iota + 1
	tellEnds
)

// tell answers another agent.
func (a *Agent) tell(ctx context.Context, what uint32) ([]byte, error) {
	switch what {
	case tellReport:
		r := newReport(ctx, a.process, a.member, a.places, a.store)
		if r.Starting = a.starting(); r.Starting == "" {
			a.console.Load().inspect.complete(r)
		}
		return json.Marshal(r)
	case tellEnds:
		return encodeEnds(a.owned.All()), nil
	}
	return nil, fmt.Errorf("this agent doesn't know what %d is", what)
}
