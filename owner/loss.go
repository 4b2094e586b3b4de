package owner

import (
	"fmt"
	"slices"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/ownjournal"
	"varve/wal"
)

// losses are the writers of whose journals a part was given up.
func losses(journals map[id.Journal]cluster.Journal) map[id.Incarnation]bool {
	lost := map[id.Incarnation]bool{}
	for j, rec := range journals {
		if rec.Lost {
			lost[j.Writer] = true
		}
	}
	return lost
}

// passOver lets the log go on after a gap, if a part of the chain's journals was given
// up that may have held what is missing. The offsets stay unused.
func (o *Owner) passOver(c *candidate, lost map[id.Incarnation]bool, to next) bool {
	for _, l := range slices.Backward(c.head.Chain) {
		if !lost[l.Writer] || l.Epoch > to.epoch {
			continue
		}
		from := c.p.State().End
		if err := c.p.Lost(to.base, l.Epoch); err != nil {
			return false // it isn't where something was given up
		}
		o.deps.Log.Warn("records lost, as accepted by an operator; their offsets stay unused", "topic", c.topic.Name, "partition", c.p.ID().Index, "from", from, "to", to.base, "writer", l.Writer)
		return true
	}
	return false
}

// passEnd does the same where nothing is left after the gap, but a later
// owner has stored where its epoch began.
func (o *Owner) passEnd(c *candidate, lost map[id.Incarnation]bool) {
	to := next{base: c.p.State().End}
	for _, l := range c.head.Chain {
		if l.Start != schema.StartUnknown && l.Start > to.base {
			to = next{l.Start, l.Epoch}
		}
	}
	if to.epoch > 0 {
		o.passOver(c, lost, to)
	}
}

// adoptions are the ends of the journals that partitions here were adopted from. Only
// Run's goroutine uses them.
type adoptions struct{ ends map[id.Journal]uint64 }

func (d *adoptions) note(tails []tail) {
	for _, t := range tails {
		d.ends[t.Journal] = max(d.ends[t.Journal], t.rec.End)
	}
}

// cut returns the journals that partitions here were adopted from and of which a loss was
// accepted since, and forgets those that etcd has forgotten.
func (d *adoptions) cut(known map[id.Journal]cluster.Journal) map[id.Journal]bool {
	cut := map[id.Journal]bool{}
	for j, end := range d.ends {
		if rec, ok := known[j]; !ok {
			delete(d.ends, j) // the tier has all of it
		} else if rec.Lost && rec.End < end {
			cut[j] = true
			d.ends[j] = rec.End // what is adopted from now on goes no further
		}
	}
	return cut
}

// heedLosses ends this agent when a loss was accepted in a journal that partitions here
// were adopted from and still need: what they count on is gone for good. Their next
// owners begin with what is left.
func (o *Owner) heedLosses(known map[id.Journal]cluster.Journal) {
	cut := o.adoptions.cut(known)
	if len(cut) == 0 {
		return
	}
	for _, p := range o.deps.Set.All() {
		p.Needs(func(j id.Journal, _ wal.Pos) {
			if cut[j] {
				o.deps.Fatal(fmt.Errorf("a loss was accepted in journal %v, which partition %v needs: %w", j, p.ID(), ownjournal.ErrReplaced))
			}
		})
	}
}
