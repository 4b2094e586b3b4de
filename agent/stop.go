package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/wal"
)

// drainTime is how long connections get to finish what they began.
const drainTime = 5 * time.Second

// stop ends the agent in the reverse order of its start. After a failure of the
// journal nothing is uploaded or sealed: the next start decides what counts.
func (a *Agent) stop(failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout+drainTime)
	defer cancel()
	a.stopServing()
	a.drain()
	a.groups.Close(ctx)
	if failed == nil {
		a.flush(ctx)
	}
	a.tier.stop()
	a.journal.Close()
	if failed == nil {
		a.leaveClean(ctx)
	}
	for _, p := range a.owned.all() {
		p.Close()
	}
	if a.admin != nil {
		if err := a.admin.Close(ctx); err != nil {
			a.log.Debug("admin API", "err", err)
		}
	}
	if err := a.lease().Close(ctx); err != nil {
		a.log.Debug("lease not ended; it ends by itself", "err", err)
	}
	if err := a.heads.Close(ctx); err != nil {
		a.log.Warn("metadata writes not finished", "err", err)
	}
	if err := a.store.Close(); err != nil {
		a.log.Warn("journals not closed cleanly", "err", err)
	}
	a.log.Info("stopped")
}

func (a *Agent) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	a.broker.Drain(ctx)
}

// flush uploads what only this disk has, as far as there is time.
func (a *Agent) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ShutdownTimeout)
	defer cancel()
	if err := a.tier.flush(ctx); err != nil {
		a.log.Warn("not everything was uploaded; the rest stays in the journal on this disk", "err", err)
	}
}

// leaveClean seals the journal, and lets etcd forget it if the tier has all of it.
func (a *Agent) leaveClean(ctx context.Context) {
	if err := a.sealOwn(ctx, a.journal); err != nil {
		a.log.Warn("journal not sealed; the next start recovers it", "err", err)
		return
	}
	a.trim(ctx)
}

// trim tells the journals what is needed no more, and lets etcd forget sealed
// ones of which nothing is.
func (a *Agent) trim(ctx context.Context) {
	committed := a.journal.Committed() // before looking: what comes later is needed
	first := map[id.Journal]wal.Pos{}
	for _, p := range a.owned.all() {
		p.Needs(func(j id.Journal, from wal.Pos) {
			if pos, seen := first[j]; !seen || from < pos {
				first[j] = from
			}
		})
	}
	complete := sync.OnceValue(a.complete)
	for _, j := range a.store.Journals() {
		from, needed := first[j]
		_, sealed := a.store.Sealed(j)
		switch {
		case needed && j == a.journal.ID():
			a.store.TrimBefore(j, from, committed)
		case needed:
			a.store.TrimBefore(j, from, ^uint64(0))
		case sealed && complete():
			a.forget(ctx, j)
		case j == a.journal.ID():
			a.store.Trim(j, committed)
		}
	}
}

// complete says that every partition of the cluster is served here, so that what
// no partition here needs is needed by none.
func (a *Agent) complete() bool {
	if a.view.Unreadable() {
		return false
	}
	for _, t := range a.view.Topics() {
		for i := range t.Partitions {
			if a.owned.Get(id.Partition{Topic: t.ID, Index: i}) == nil {
				return false
			}
		}
	}
	return true
}

// forget removes a journal from etcd, then from the disk.
func (a *Agent) forget(ctx context.Context, j id.Journal) {
	key := metadata.JournalKey(j)
	kv, err := a.deps.Meta.Get(ctx, key)
	if err == nil {
		_, err = a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Delete(key))
	}
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		a.log.Debug("journal not forgotten yet", "journal", j, "err", err)
		return
	}
	a.store.Drop(j)
}
