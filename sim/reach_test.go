package sim

import (
	"sync"
	"time"
)

// bound is within what time a changed rule holds at an agent that can reach etcd
// (docs/security.md).
const bound = time.Second

// reach is when an agent could follow etcd, in one of its lives: not while it is cut off, etcd
// is away, or it stands still.
type reach struct {
	mu       sync.Mutex
	began    time.Time // of the life
	hindered int       // how many faults keep it from following now
	since    time.Time // when that number last became 0
	spans    []span    // in which it could, before
}

type span struct{ from, to time.Time }

func newReach(away bool) *reach {
	r := &reach{began: time.Now(), since: time.Now()}
	if away {
		r.hindered = 1
	}
	return r
}

// set ends a fault that keeps the agent from following, or begins one.
func (r *reach) set(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case yes:
		if r.hindered--; r.hindered == 0 {
			r.since = time.Now()
		}
	default:
		if r.hindered++; r.hindered == 1 {
			r.spans = append(r.spans, span{r.since, time.Now()})
		}
	}
}

// oldest returns from when the oldest rules are that the agent may go by at a moment: it has seen
// what was changed before, as it could follow etcd for the whole bound afterwards.
func (r *reach) oldest(at time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hindered == 0 && at.Sub(r.since) >= bound {
		return at.Add(-bound)
	}
	for i := len(r.spans) - 1; i >= 0; i-- {
		to := r.spans[i].to
		if at.Before(to) {
			to = at
		}
		if to.Sub(r.spans[i].from) >= bound {
			return to.Add(-bound)
		}
	}
	return r.began
}
