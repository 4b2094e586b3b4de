package owner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/notify"
	"varve/metadata/schema"
	"varve/wal"
	"varve/wal/replica"
)

// reading is the reading of adopted tails, which may take long, beside all else that
// this agent does. What was read is handed back to Run's goroutine, which alone decides
// whether it is still needed, and serves.
type reading struct {
	ready notify.Signal       // some are done
	slots *semaphore.Weighted // bounds how many journals are read at a time

	mu   sync.Mutex
	done []*candidate
}

// try is the adoption of a partition's tails: under way, or failed.
type try struct {
	c     *candidate
	live  []id.Incarnation // that could be asked
	over  bool             // it failed
	until time.Time        // it is not tried again before that
	pause time.Duration    // between the last failure and until
}

const (
	adoptAtOnce   = 16              // journals that are read at a time
	adoptPauseMin = time.Second     // between two tries, the first time
	adoptPauseMax = 5 * time.Second // and at most, unless something changes before
)

func newReading() *reading {
	return &reading{ready: notify.NewSignal(), slots: semaphore.NewWeighted(adoptAtOnce)}
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
func (o *Owner) beginAdopting(ctx context.Context, all []*candidate, live []id.Incarnation, lost map[id.Incarnation]bool) {
	by := map[id.Journal]map[id.Partition]*candidate{}
	var tails []tail
	for _, c := range all {
		t := &try{c: c, live: live}
		if was := o.memory.tries[c.p.ID()]; was != nil && was.c.head.Epoch == c.head.Epoch {
			t.pause = was.pause
		}
		o.memory.tries[c.p.ID()] = t
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
	o.deps.Go(func() { o.readTails(ctx, tails, by, lost) })
}

// readTails reads journals side by side and hands back the partitions that are done.
func (o *Owner) readTails(ctx context.Context, tails []tail, by map[id.Journal]map[id.Partition]*candidate, lost map[id.Incarnation]bool) {
	type result struct {
		journal id.Journal
		found   content
		err     error
	}
	results := make(chan result, len(tails))
	for _, t := range tails {
		o.deps.Go(func() {
			if err := o.reading.slots.Acquire(ctx, 1); err != nil {
				results <- result{t.Journal, content{}, err}
				return
			}
			defer o.reading.slots.Release(1)
			found, err := o.readTail(ctx, t, by[t.Journal])
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
				o.adopt(c, found, lost)
			}
			done = append(done, c)
		}
		o.reading.hand(done)
	}
}

// readTail reads the directories of one journal. A journal that can't be read now makes the
// partitions wait that it may hold a part of.
func (o *Owner) readTail(ctx context.Context, t tail, by map[id.Partition]*candidate) (content, error) {
	live := func(s id.Store) bool { _, live := o.deps.View.Store(s); return live }
	from, all, err := o.deps.Tails.Gather(ctx, t.Journal, t.rec.End, t.rec.Keepers(), live, func(r *wal.Record) bool {
		c := by[r.Partition]
		return c != nil && c.head.Written(t.Writer, r.Epoch)
	})
	if err != nil {
		return content{}, fmt.Errorf("its newest records may lie in journal %v, of which no live agent has all; 'varve cluster accept-loss' gives them up: %w", t.Journal, err)
	}
	found := content{from, map[id.Partition][]replica.Batch{}}
	for _, b := range all {
		found.by[b.Partition] = append(found.by[b.Partition], b)
	}
	return found, nil
}

// hand passes partitions to Run's goroutine.
func (d *reading) hand(done []*candidate) {
	if len(done) == 0 {
		return
	}
	slices.SortFunc(done, func(x, y *candidate) int { return x.p.ID().Compare(y.p.ID()) })
	d.mu.Lock()
	d.done = append(d.done, done...)
	d.mu.Unlock()
	d.ready.Set()
}

// take returns what was handed back since the last call.
func (d *reading) take() []*candidate {
	d.mu.Lock()
	defer d.mu.Unlock()
	done := d.done
	d.done = nil
	return done
}

// adopted returns the partitions whose tails were adopted, if they are still this agent's
// as they were.
func (o *Owner) adopted(known map[id.Journal]cluster.Journal) (ready []*candidate) {
	for _, c := range o.reading.take() {
		t := o.memory.tries[c.p.ID()]
		if t == nil || t.c != c {
			continue // it is another's by now, or was begun anew
		}
		if c.why == nil {
			c.why = cutSince(c.tails, known)
		}
		if c.why != nil {
			t.failed(o.deps.Now())
			o.deps.Unserved.Note(c.topic.Name, c.p.ID(), c.why)
			continue
		}
		delete(o.memory.tries, c.p.ID())
		ready = append(ready, c)
	}
	o.reachTails(ready)
	return ready
}

// reachTails sees to it that partitions find their tails from now on.
func (o *Owner) reachTails(all []*candidate) {
	seen := map[id.Journal]bool{}
	for _, c := range all {
		o.adoptions.note(c.tails)
		for _, t := range c.tails {
			if at := c.from[t.Journal]; !seen[t.Journal] && at != o.deps.Store {
				seen[t.Journal] = true
				o.deps.Tails.Follow(t.Journal, t.rec.End, at, t.rec.Keepers())
			}
		}
	}
}

// cutSince reports whether a loss was accepted in a journal after it was read.
func cutSince(tails []tail, known map[id.Journal]cluster.Journal) error {
	for _, t := range tails {
		if rec, ok := known[t.Journal]; ok && rec.State == schema.JournalSealed && rec.End < t.rec.End {
			return fmt.Errorf("a loss was accepted in journal %v while it was read", t.Journal)
		}
	}
	return nil
}
