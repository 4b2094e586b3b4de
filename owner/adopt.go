package owner

import (
	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
	"varve/wal/replica"
)

// candidate is a partition that the controller assigned to this agent, on its way to be
// served.
type candidate struct {
	topic *cluster.Topic
	head  *schema.Head
	p     *partition.Partition
	tails []tail                  // that may hold a part of it, in order
	waits int                     // how many of them are not read yet
	from  map[id.Journal]id.Store // where they were read
	done  int64                   // what is below was adopted in an earlier pass
	gap   error                   // of this pass
	next  next                    // of this pass, if there is a gap: what comes after it
	why   error                   // why it can't be served yet
}

// next is where the first batch after a gap begins.
type next struct {
	base  int64
	epoch id.Epoch
}

// tail is a sealed journal that partitions are adopted from.
type tail struct {
	id.Journal
	rec cluster.Journal
}

// content is what a tail holds of partitions, in order, as a store has it.
type content struct {
	from id.Store
	by   map[id.Partition][]replica.Batch
}

func (t tail) compare(o tail) int { return t.Journal.Compare(o.Journal) }

// adopt hands to a partition what its tails hold of it, in order, and again where it met
// a batch that did not come next, as when its owners alternated. If that makes no
// progress it is unavailable, unless what is missing was given up.
func (o *Owner) adopt(c *candidate, found map[id.Journal]content, lost map[id.Incarnation]bool) {
	for {
		for _, t := range c.tails {
			all := found[t.Journal].by[c.p.ID()]
			for i := range all {
				c.adopt(t.Journal, &all[i])
			}
		}
		if c.gap == nil {
			o.passEnd(c, lost)
			return
		}
		end := c.p.State().End
		if stuck := end <= c.done || c.done == 0 && end == c.head.TieredEnd; stuck && !o.passOver(c, lost, c.next) {
			c.why = c.gap
			return
		}
		c.done, c.gap = c.p.State().End, nil
	}
}

// adopt takes over one batch, if it comes next.
func (c *candidate) adopt(j id.Journal, b *replica.Batch) {
	if b.End() <= c.done {
		return
	}
	err := c.p.Adopt(j, &b.Record, b.At)
	if err != nil && (c.gap == nil || b.Base < c.next.base) {
		c.gap, c.next = err, next{b.Base, b.Epoch}
	}
}
