package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"varve/cluster"
	"varve/internal/id"
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
	done  int64 // what lies below was adopted in an earlier pass
	gap   error // of this pass
	next  next  // of this pass, if there is a gap: what comes behind it
	why   error // why it can't be served yet
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

// adopt hands to each partition what sealed journals hold of it: the journals that
// its chain names, in order. A journal that holds a part and can't be read now makes
// the partition wait.
func (a *Agent) adopt(ctx context.Context, all []*candidate) {
	journals, err := a.journalsNow(ctx)
	if err != nil {
		for _, c := range all {
			c.why = err
		}
		return
	}
	tails, lost := a.tailsOf(all, journals), losses(journals)
	for left := all; len(left) > 0; {
		for _, t := range tails {
			a.adoptFrom(ctx, t, left)
		}
		left = a.nextPass(left, lost)
	}
	a.adoptions.note(tails)
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

// tailsOf lists the sealed journals that chains name, by writer and number, and makes
// partitions wait whose chain names one that isn't sealed.
func (a *Agent) tailsOf(all []*candidate, journals map[id.Journal]cluster.Journal) (tails []tail) {
	by := map[id.Incarnation][]tail{}
	for j, rec := range journals {
		by[j.Writer] = append(by[j.Writer], tail{j, rec})
	}
	mine := a.journal.ID()
	wanted := map[id.Journal]tail{}
	for _, c := range all {
		for _, l := range c.head.Chain {
			for _, t := range by[l.Writer] {
				switch {
				case t.Journal == mine:
				case t.rec.State != metadata.JournalSealed:
					c.why = fmt.Errorf("journal %v holds its newest records, and is %v", t.Journal, t.rec.State)
				case t.rec.End > 0:
					wanted[t.Journal] = t
				}
			}
		}
	}
	for _, t := range wanted {
		tails = append(tails, t)
	}
	slices.SortFunc(tails, func(x, y tail) int {
		return cmp.Or(cmp.Compare(x.Writer, y.Writer), cmp.Compare(x.Seq, y.Seq))
	})
	return tails
}

// adoptFrom reads the directories of one journal, from this disk if it has all of it.
func (a *Agent) adoptFrom(ctx context.Context, t tail, all []*candidate) {
	by := make(map[id.Partition]*candidate, len(all))
	for _, c := range all {
		if c.why == nil && slices.ContainsFunc(c.head.Chain, func(l metadata.Link) bool { return l.Writer == t.Writer }) {
			by[c.p.ID()] = c
		}
	}
	if len(by) == 0 {
		return
	}
	from, err := a.source(t, id.Store{})
	if err == nil {
		if err = a.readInto(ctx, t, from, by); err != nil {
			first := err
			if from, err = a.source(t, from); err == nil {
				err = a.readInto(ctx, t, from, by)
			}
			if err != nil {
				err = errors.Join(first, err)
			}
		}
	}
	if err == nil {
		if from != a.store.ID() {
			a.local.follow(t.Journal, t.rec.End, from, t.rec.Keepers())
		}
		return
	}
	why := fmt.Errorf("its newest records may lie in journal %v, of which no live agent has all; 'varve cluster accept-loss' gives them up", t.Journal)
	for _, c := range by {
		c.why = errors.Join(why, err)
	}
}

// source gives a store that has all of a journal: this one, if it is not the one that
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
	return a.local.search(t.Journal, t.rec.End, others, not)
}

// readInto hands what a store has of a journal to the partitions.
func (a *Agent) readInto(ctx context.Context, t tail, from id.Store, by map[id.Partition]*candidate) error {
	err := a.peers.Entries(ctx, from, t.Journal, func(e *wal.Entry) error {
		if e.Number > t.rec.End {
			return nil // not decided to count
		}
		for i := range e.Records {
			if c := by[e.Records[i].Partition]; c != nil {
				c.adopt(t.Journal, e, &e.Records[i])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store %v: %w", from, err)
	}
	return nil
}

// adopt takes over one batch, if it is the partition's and comes next.
func (c *candidate) adopt(j id.Journal, e *wal.Entry, r *wal.Record) {
	if !c.head.Written(j.Writer, r.Epoch) || r.End() <= c.done {
		return
	}
	err := c.p.Adopt(j, r, e.Place(r))
	if err != nil && (c.gap == nil || r.Base < c.next.base) {
		c.gap, c.next = err, next{r.Base, r.Epoch}
	}
}

// nextPass gives the partitions that met a batch which did not come next, as when
// their owners alternated: their journals are read again. Who made no progress is
// unavailable, unless what is missing was given up.
func (a *Agent) nextPass(all []*candidate, lost map[id.Incarnation]bool) (again []*candidate) {
	for _, c := range all {
		if c.why != nil {
			continue
		}
		if c.gap == nil {
			a.passEnd(c, lost)
			continue
		}
		end := c.p.State().End
		if stuck := end <= c.done || c.done == 0 && end == c.head.TieredEnd; stuck && !a.passOver(c, lost, c.next) {
			c.why = c.gap
			continue
		}
		c.done, c.gap = c.p.State().End, nil
		again = append(again, c)
	}
	return again
}
