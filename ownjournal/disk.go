package ownjournal

import (
	"context"
	"errors"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Disk is the copies of journals that this disk has, for this agent and for others.
type Disk struct {
	deps Deps
	mine func() id.Journal
}

// NewDisk makes a Disk; mine returns the journal that this agent writes.
func NewDisk(deps Deps, mine func() id.Journal) *Disk { return &Disk{deps, mine} }

// settleEvery is how often Run looks, if nothing has changed.
const settleEvery = time.Second

// Run seals here what is sealed in etcd, and drops what etcd has forgotten, until ctx
// ends.
func (d *Disk) Run(ctx context.Context) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		changed := d.deps.View.Changed()
		seal, drop := reconcileDisk(d.copies(), d.deps.View.Journals(), d.mine())
		for _, s := range seal {
			if err := d.deps.Node.Seal(ctx, d.deps.Store.ID(), s.journal, s.at); err != nil {
				d.deps.Log.Warn("journal not sealed on this disk, retrying", "journal", s.journal, "err", err)
			}
		}
		for _, j := range drop {
			d.drop(ctx, j)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// kept is a copy of a journal on this disk.
type kept struct {
	id.Journal
	sealed bool
}

// end is where a copy is to be sealed.
type end struct {
	journal id.Journal
	at      uint64
}

func (d *Disk) copies() (all []kept) {
	for _, j := range d.deps.Store.Journals() {
		_, sealed := d.deps.Store.Sealed(j)
		all = append(all, kept{j, sealed})
	}
	return all
}

// reconcileDisk decides which copies are to be sealed, and which may be dropped if etcd
// confirms it. It leaves the journal alone that is written here.
func reconcileDisk(copies []kept, known map[id.Journal]cluster.Journal, mine id.Journal) (seal []end, drop []id.Journal) {
	for _, c := range copies {
		rec, ok := known[c.Journal]
		switch {
		case c.Journal == mine:
		case !ok:
			drop = append(drop, c.Journal)
		case rec.State == schema.JournalSealed && !c.sealed:
			seal = append(seal, end{c.Journal, rec.End})
		}
	}
	return seal, drop
}

// drop removes from this disk a journal that etcd doesn't know, once it can't be opened
// any more: the tier has all of it, or it never was opened (design page 0005, "forget").
func (d *Disk) drop(ctx context.Context, j id.Journal) {
	if may, err := d.mayForget(ctx, j); err != nil || !may {
		return // later
	}
	_, sealed := d.deps.Store.Sealed(j)
	var err error
	if !sealed {
		err = d.deps.Node.Seal(ctx, d.deps.Store.ID(), j, 0)
	}
	if err == nil {
		err = d.deps.Node.Drop(ctx, d.deps.Store.ID(), j)
	}
	if err != nil {
		d.deps.Log.Warn("journal not dropped", "journal", j, "err", err)
		return
	}
	d.deps.Log.Info("journal deleted: all of it is in the bucket", "journal", j)
}

// mayForget reports whether a journal that the view lacks is gone for good. All of it
// is read from etcd anew, later than the journal was joined here.
func (d *Disk) mayForget(ctx context.Context, j id.Journal) (bool, error) {
	before := d.deps.Seen.Newest()
	agents, rev, err := d.deps.Meta.List(ctx, schema.PrefixAgents)
	if err != nil {
		return false, err
	}
	if err := d.deps.Seen.Confirm(before, rev, d.deps.Log, d.deps.Fatal); err != nil {
		return false, err
	}
	if over, err := d.cantOpen(ctx, j, agents); err != nil || !over {
		return false, err
	}
	// Last: it may have been opened until what was read before became final.
	_, err = d.deps.Meta.Get(ctx, schema.JournalKey(j))
	if errors.Is(err, metadata.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// cantOpen reports whether a journal won't be opened from now on, by what is final.
func (d *Disk) cantOpen(ctx context.Context, j id.Journal, agents []metadata.KV) (bool, error) {
	if _, sealed := d.deps.Store.Sealed(j); sealed {
		return true, nil
	}
	as, err := d.deps.Store.Joined(j)
	if err != nil {
		return false, err
	}
	if as.Prev == 0 { // a first journal: its writer's registration is gone for good
		for _, kv := range agents {
			if l, err := schema.DecodeAgent(kv.Value); err != nil || l.Incarnation == j.Writer {
				return false, err
			}
		}
		return true, nil
	}
	kv, err := d.deps.Meta.Get(ctx, schema.JournalKey(id.Journal{Writer: j.Writer, Seq: as.Prev}))
	if errors.Is(err, metadata.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	rec, err := schema.DecodeJournal(kv.Value)
	return err == nil && rec.State != schema.JournalOpen, err
}
