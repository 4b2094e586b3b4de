package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
)

// adopting is the reading of adopted tails, which may take long, beside all else that
// this agent does. What was read is handed back to follow's goroutine, which alone
// decides whether it is still wanted, and serves.
type adopting struct {
	ready chan struct{} // has a value when some are done
	slots chan struct{} // bounds how many journals are read at a time

	tries map[id.Partition]*try // follow's own

	mu   sync.Mutex
	done []*candidate
}

// try is the adoption of a partition's tails: under way, or failed.
type try struct {
	c     *candidate
	live  []id.Incarnation // who could be asked
	over  bool             // it failed,
	until time.Time        // and is not tried again before,
	pause time.Duration    // since it failed as often as this has doubled
}

const (
	adoptAtOnce   = 16              // journals that are read at a time
	adoptPauseMin = time.Second     // between two tries, the first time
	adoptPauseMax = 5 * time.Second // and at most, unless something changes before
)

func newAdopting() *adopting {
	return &adopting{ready: make(chan struct{}, 1), slots: make(chan struct{}, adoptAtOnce), tries: map[id.Partition]*try{}}
}

// waits reports whether a partition whose owner here has that epoch is to be left alone:
// its tails are being read, or could not be read just now.
func (t *try) waits(epoch id.Epoch, now time.Time, live []id.Incarnation, known map[id.Journal]cluster.Journal) bool {
	if t == nil || t.c.head.Epoch < epoch {
		return false
	}
	if !t.over {
		return true
	}
	return now.Before(t.until) && slices.Equal(t.live, live) && !newer(t.c.tails, known)
}

// newer reports whether a record of a tail is newer than the one that it was read by.
func newer(tails []tail, known map[id.Journal]cluster.Journal) bool {
	return slices.ContainsFunc(tails, func(t tail) bool { return known[t.Journal].Mod > t.rec.Mod })
}

// failed notes that a partition can't be served yet.
func (t *try) failed(now time.Time) {
	t.over, t.pause = true, min(max(adoptPauseMin, 2*t.pause), adoptPauseMax)
	t.until = now.Add(t.pause)
}

// beginAdopting reads the tails of partitions in the background. The partitions share
// the reading of a journal, and each is done as soon as those that it needs are read.
func (a *Agent) beginAdopting(ctx context.Context, all []*candidate, live []id.Incarnation, lost map[id.Incarnation]bool) {
	by := map[id.Journal]map[id.Partition]*candidate{}
	var tails []tail
	for _, c := range all {
		t := &try{c: c, live: live}
		if was := a.adopting.tries[c.p.ID()]; was != nil && was.c.head.Epoch == c.head.Epoch {
			t.pause = was.pause
		}
		a.adopting.tries[c.p.ID()] = t
		c.waits, c.from = len(c.tails), make(map[id.Journal]id.Store, len(c.tails))
		for _, t := range c.tails {
			if by[t.Journal] == nil {
				by[t.Journal] = map[id.Partition]*candidate{}
				tails = append(tails, t)
			}
			by[t.Journal][c.p.ID()] = c
		}
	}
	slices.SortFunc(tails, tail.compare)
	a.run(func() { a.readTails(ctx, tails, by, lost) })
}

// readTails reads journals side by side and hands back the partitions that are done.
func (a *Agent) readTails(ctx context.Context, tails []tail, by map[id.Journal]map[id.Partition]*candidate, lost map[id.Incarnation]bool) {
	type result struct {
		journal id.Journal
		found   content
		err     error
	}
	results := make(chan result, len(tails))
	for _, t := range tails {
		a.run(func() {
			select {
			case a.adopting.slots <- struct{}{}:
				defer func() { <-a.adopting.slots }()
			case <-ctx.Done():
				results <- result{t.Journal, content{}, ctx.Err()}
				return
			}
			found, err := a.readTail(ctx, t, by[t.Journal])
			results <- result{t.Journal, found, err}
		})
	}
	found := make(map[id.Journal]content, len(tails))
	for range tails {
		r := <-results
		found[r.journal] = r.found
		var done []*candidate
		for _, c := range by[r.journal] {
			if r.err != nil && c.why == nil {
				c.why = r.err
			}
			c.from[r.journal] = r.found.from
			if c.waits--; c.waits > 0 {
				continue
			}
			if c.why == nil {
				a.adopt(c, found, lost)
			}
			done = append(done, c)
		}
		a.adopting.hand(done)
	}
}

// hand gives partitions to follow's goroutine.
func (d *adopting) hand(done []*candidate) {
	if len(done) == 0 {
		return
	}
	slices.SortFunc(done, func(x, y *candidate) int { return x.p.ID().Compare(y.p.ID()) })
	d.mu.Lock()
	d.done = append(d.done, done...)
	d.mu.Unlock()
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// adopted returns the partitions whose tails were adopted, if they are still this agent's
// as they were.
func (a *Agent) adopted(known map[id.Journal]cluster.Journal) (ready []*candidate) {
	d := a.adopting
	d.mu.Lock()
	done := d.done
	d.done = nil
	d.mu.Unlock()
	for _, c := range done {
		t := d.tries[c.p.ID()]
		if t == nil || t.c != c {
			continue // it is another's by now, or was begun anew
		}
		if c.why == nil {
			c.why = cutSince(c.tails, known)
		}
		if c.why != nil {
			t.failed(a.deps.Now())
			a.unserved.note(a, c.topic, c.p.ID(), c.why)
			continue
		}
		delete(d.tries, c.p.ID())
		ready = append(ready, c)
	}
	a.reachTails(ready)
	return ready
}

// reachTails sees to it that partitions find their tails from now on.
func (a *Agent) reachTails(all []*candidate) {
	seen := map[id.Journal]bool{}
	for _, c := range all {
		a.adoptions.note(c.tails)
		for _, t := range c.tails {
			if at := c.from[t.Journal]; !seen[t.Journal] && at != a.store.ID() {
				seen[t.Journal] = true
				a.tails.Follow(t.Journal, t.rec.End, at, t.rec.Keepers())
			}
		}
	}
}

// cutSince reports whether a loss was accepted in a journal after it was read.
func cutSince(tails []tail, known map[id.Journal]cluster.Journal) error {
	for _, t := range tails {
		if rec, ok := known[t.Journal]; ok && rec.State == metadata.JournalSealed && rec.End < t.rec.End {
			return fmt.Errorf("a loss was accepted in journal %v while it was read", t.Journal)
		}
	}
	return nil
}
