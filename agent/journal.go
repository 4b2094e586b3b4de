package agent

import (
	"context"
	"errors"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/owner"
	"varve/ownjournal"
	"varve/wal"
)

// IsReplaced reports whether an agent ended because the others had replaced it; it may be
// started again at once.
func IsReplaced(err error) bool { return errors.Is(err, ownjournal.ErrReplaced) }

// openJournal opens this incarnation's journal.
func (a *Agent) openJournal(ctx, _ context.Context) (err error) {
	r := a.cfg.Replication
	a.own, err = ownjournal.Open(ctx, ownjournal.Config{
		Rack: a.cfg.Rack, Factor: r.Factor, Quorum: r.Quorum, GatherFor: r.GatherFor, ReplaceAfter: r.ReplaceAfter, StrandedAfter: a.cfg.SessionTTL,
	}, a.journalDeps())
	return err
}

func (a *Agent) journalDeps() ownjournal.Deps {
	return ownjournal.Deps{
		Self: a.self, Incarnation: a.inc, Store: a.store, Node: a.near.peers, View: a.view, Meta: a.deps.Meta, Seen: a.seen, Partitions: needs{a.owned, a.view},
		Registered: func() metadata.Revision { return metadata.Revision(a.reg.revision.Load()) }, Leaving: a.reg.leaving.Load,
		Flush: func(ctx context.Context) error { return a.tier.flush(ctx) }, Waiting: a.stands,
		Go: a.run, Fatal: a.die, Now: a.deps.Now, Log: a.log,
	}
}

// needs tells what partitions here need of journals.
type needs struct {
	set  *owner.Set
	view *cluster.View
}

func (n needs) Needs(f func(id.Journal, wal.Pos)) {
	for _, p := range n.set.All() {
		p.Needs(f)
	}
}

func (n needs) Accounts(p id.Partition) bool {
	_, exists := n.view.TopicByID(p.Topic)
	return n.set.Get(p) != nil || n.set.Retired(p, exists)
}
