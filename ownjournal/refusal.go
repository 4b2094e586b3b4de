package ownjournal

import (
	"errors"
	"maps"
	"sync"
	"syscall"
	"time"

	"varve/internal/id"
	"varve/wal/replica"
)

// refusal is a store that did not join a journal.
type refusal struct {
	at  time.Time
	of  id.Incarnation // that had the store then
	why error
}

// A store that did not join a journal is not asked again for a while: it lives, but is full,
// or can't be reached from here. One that refuses connections may be about to listen. Its
// agent's next registration ends the waiting in any case.
const (
	shunFor        = 30 * time.Second
	shunRefusedFor = 500 * time.Millisecond
)

// holds reports whether a store that incarnation of has now is still not to be asked.
func (r *refusal) holds(of id.Incarnation, now time.Time) bool {
	if of != r.of {
		return false
	}
	limit := shunFor
	if errors.Is(r.why, syscall.ECONNREFUSED) {
		limit = shunRefusedFor
	}
	return now.Sub(r.at) < limit
}

// refusals are the newest refusal of each store.
type refusals struct {
	mu sync.Mutex
	by map[id.Store]refusal
}

func newRefusals() *refusals { return &refusals{by: map[id.Store]refusal{}} }

// note keeps the stores that did not join by an error.
func (r *refusals) note(d *Deps, err error) {
	for _, e := range replica.NotJoined(err) {
		l, _ := d.View.Store(e.Store)
		r.mu.Lock()
		r.by[e.Store] = refusal{d.Now(), l.Incarnation, e}
		r.mu.Unlock()
	}
}

func (r *refusals) all() map[id.Store]refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.by)
}
