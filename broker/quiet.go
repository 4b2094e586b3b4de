package broker

import (
	"sync"
	"time"
)

// quietFor is for how long an address that was logged is not logged again.
const quietFor = time.Minute

// quietAddresses bounds the addresses that are remembered.
const quietAddresses = 1024

// quiet keeps clients from filling the log: of each address one line a minute is
// written, and how many were not.
type quiet struct {
	mu sync.Mutex
	by map[string]*silence
}

// silence is an address that was logged.
type silence struct {
	until  time.Time
	unsaid int // lines since
}

// say reports whether a line about an address may be logged, and how many were not since
// the last one.
func (q *quiet) say(address string, now time.Time) (unsaid int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.by[address]
	if s != nil && now.Before(s.until) {
		s.unsaid++
		return 0, false
	}
	if s == nil {
		if len(q.by) >= quietAddresses {
			q.forget(now)
		}
		if len(q.by) >= quietAddresses {
			return 0, false
		}
		if q.by == nil {
			q.by = map[string]*silence{}
		}
		s = &silence{}
		q.by[address] = s
	}
	unsaid, s.unsaid, s.until = s.unsaid, 0, now.Add(quietFor)
	return unsaid, true
}

// forget drops the addresses that may be logged again.
func (q *quiet) forget(now time.Time) {
	for address, s := range q.by {
		if !now.Before(s.until) {
			delete(q.by, address)
		}
	}
}
