package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/partition"
	"varve/wal"
)

// candidate is a partition that the controller gave to this agent, on its way to be
// served.
type candidate struct {
	topic *cluster.Topic
	head  *metadata.Head
	p     *partition.Partition
	tails []tail                  // that may hold a part of it, in order
	waits int                     // how many of them are not read yet
	from  map[id.Journal]id.Store // where they were read
	done  int64                   // what lies below was adopted in an earlier pass
	gap   error                   // of this pass
	next  next                    // of this pass, if there is a gap: what comes behind it
	why   error                   // why it can't be served yet
}

// next is where the first batch behind a gap begins.
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
	by   map[id.Partition][]batch
}

type batch struct {
	rec wal.Record
	at  wal.Pos
}

// journalsNow reads the journals' records after the heads were read. The view follows
// each kind of key by itself, so that it may not show yet a journal that a head needs:
// its records would be left out.
func (a *Agent) journalsNow(ctx context.Context) (map[id.Journal]cluster.Journal, error) {
	kvs, _, err := a.deps.Meta.List(ctx, metadata.PrefixJournals)
	if err != nil {
		return nil, err
	}
	out := make(map[id.Journal]cluster.Journal, len(kvs))
	for _, kv := range kvs {
		j, err := metadata.ParseJournalKey(kv.Key)
		if err != nil {
			return nil, err
		}
		rec, err := metadata.DecodeJournal(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		out[j] = cluster.Journal{Journal: rec, Mod: kv.Mod}
	}
	return out, nil
}

// findTails notes the sealed journals that chains name, by writer and number, and makes
// partitions wait whose chain names one that isn't sealed. In the present epoch nothing
// was written that the tier lacks: it begins with this agent's serving.
func (a *Agent) findTails(all []*candidate, journals map[id.Journal]cluster.Journal) {
	by := map[id.Incarnation][]tail{}
	for j, rec := range journals {
		by[j.Writer] = append(by[j.Writer], tail{j, rec})
	}
	mine := a.own.ID()
	for _, c := range all {
		chain := c.head.Chain
		if mutate.On(mutate.ForgetChain) {
			chain = chain[max(0, len(chain)-2):]
		}
		for _, l := range chain {
			if l.Epoch == c.head.Epoch {
				continue
			}
			for _, t := range by[l.Writer] {
				switch {
				case t.Journal == mine:
				case t.rec.State != metadata.JournalSealed && !mutate.On(mutate.TrustLease):
					c.why = fmt.Errorf("journal %v holds its newest records, and is %v", t.Journal, t.rec.State)
				case t.rec.End > 0:
					c.tails = append(c.tails, t)
				}
			}
		}
		slices.SortFunc(c.tails, tail.compare)
		c.tails = slices.CompactFunc(c.tails, func(x, y tail) bool { return x.Journal == y.Journal })
	}
}

func (t tail) compare(o tail) int { return t.Journal.Compare(o.Journal) }

// readTail reads the directories of one journal, from this disk if it has all of it. A
// journal that can't be read now makes the partitions wait that it may hold a part of.
func (a *Agent) readTail(ctx context.Context, t tail, by map[id.Partition]*candidate) (content, error) {
	from, err := a.source(t, id.Store{})
	if err == nil {
		var found content
		if found, err = a.readFrom(ctx, t, from, by); err != nil {
			first := err
			if from, err = a.source(t, from); err == nil {
				found, err = a.readFrom(ctx, t, from, by)
			}
			if err != nil {
				err = errors.Join(first, err)
			}
		}
		if err == nil {
			return found, nil
		}
	}
	return content{}, fmt.Errorf("its newest records may lie in journal %v, of which no live agent has all; 'varve cluster accept-loss' gives them up: %w", t.Journal, err)
}

// source returns a store that has all of a journal: this one, if it is not the one that
// just failed, or another that is live.
func (a *Agent) source(t tail, not id.Store) (id.Store, error) {
	var others []id.Store
	for _, s := range t.rec.Keepers() {
		if s == a.store.ID() && s != not {
			if last, err := a.store.Last(t.Journal); err == nil && last >= t.rec.End {
				return s, nil
			}
		} else if _, live := a.view.Store(s); live {
			others = append(others, s)
		}
	}
	return a.tails.Search(t.Journal, t.rec.End, others, not)
}

// tailPatience bounds how long a store that is asked for a journal's directories may
// say nothing.
const tailPatience = 5 * time.Second

// readFrom returns what a store has of a journal for the partitions.
func (a *Agent) readFrom(ctx context.Context, t tail, from id.Store, by map[id.Partition]*candidate) (content, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(tailPatience, func() { cancel(fmt.Errorf("nothing was heard for %v", tailPatience)) })
	defer silent.Stop()
	found := content{from, map[id.Partition][]batch{}}
	err := a.peers.Entries(ctx, from, t.Journal, func(e *wal.Entry) error {
		silent.Reset(tailPatience)
		if e.Number > t.rec.End {
			return nil // not decided to count
		}
		for i := range e.Records {
			r := &e.Records[i]
			if c := by[r.Partition]; c != nil && c.head.Written(t.Writer, r.Epoch) {
				found.by[r.Partition] = append(found.by[r.Partition], batch{*r, e.Place(r)})
			}
		}
		return nil
	})
	if err == nil {
		return found, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return content{}, fmt.Errorf("store %v: %w", from, err)
}

// adopt hands to a partition what its tails hold of it, in order, and again where it met
// a batch that did not come next, as when its owners alternated. If that makes no
// progress it is unavailable, unless what is missing was given up.
func (a *Agent) adopt(c *candidate, found map[id.Journal]content, lost map[id.Incarnation]bool) {
	for {
		for _, t := range c.tails {
			all := found[t.Journal].by[c.p.ID()]
			for i := range all {
				c.adopt(t.Journal, &all[i])
			}
		}
		if c.gap == nil {
			a.passEnd(c, lost)
			return
		}
		end := c.p.State().End
		if stuck := end <= c.done || c.done == 0 && end == c.head.TieredEnd; stuck && !a.passOver(c, lost, c.next) {
			c.why = c.gap
			return
		}
		c.done, c.gap = c.p.State().End, nil
	}
}

// adopt takes over one batch, if it comes next.
func (c *candidate) adopt(j id.Journal, b *batch) {
	if b.rec.End() <= c.done {
		return
	}
	err := c.p.Adopt(j, &b.rec, b.at)
	if err != nil && (c.gap == nil || b.rec.Base < c.next.base) {
		c.gap, c.next = err, next{b.rec.Base, b.rec.Epoch}
	}
}
