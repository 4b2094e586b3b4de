package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
)

// growAfter is how long a better ensemble must have been there before a journal that
// has too few members takes it.
const growAfter = time.Second

// keepEnsemble replaces members of the own journal that are gone, or not connected, for
// longer than a restart takes, or too far behind, and fills up an ensemble that began
// with too few, until ctx ends.
func (a *Agent) keepEnsemble(ctx context.Context) {
	var wanted []id.Store
	var since, trimmed time.Time
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		changed, seen := a.peers.Changed(), a.view.Changed()
		old := a.journal.ID()
		rec, ok := a.view.Journals()[old]
		next, patience := a.betterEnsemble(&rec)
		switch {
		case !ok || next == nil || a.leaving.Load():
			wanted = nil
		case patience > 0 && !slices.Equal(next, wanted):
			wanted, since = next, a.deps.Now()
		case patience == 0 || a.deps.Now().Sub(since) >= patience:
			if err := a.changeEnsemble(ctx, old, rec, next); err != nil && ctx.Err() == nil {
				a.log.Warn("journal members not changed", "journal", old, "err", err)
			}
			wanted = nil
		}
		if now := a.deps.Now(); now.Sub(trimmed) >= trimEvery && a.hasLeftJournals() {
			trimmed = now
			a.trim(ctx)
		}
		select {
		case <-changed:
		case <-seen:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// trimEvery is how often journals that this agent left are looked at, in which nothing may
// be needed any more. While records are uploaded that happens anyway.
const trimEvery = 2 * time.Second

// hasLeftJournals reports whether etcd still names a journal that this agent wrote and left.
func (a *Agent) hasLeftJournals() bool {
	for j, rec := range a.view.Journals() {
		if j.Writer == a.inc && rec.State == metadata.JournalSealed {
			return true
		}
	}
	return false
}

// betterEnsemble returns members that would be better than the present ones, and how
// long to wait for these to come back; nil if there are none. A drained member makes
// room for one that isn't; another drained one would be no better.
func (a *Agent) betterEnsemble(rec *cluster.Journal) (next []id.Store, patience time.Duration) {
	if rec.State != metadata.JournalOpen {
		return nil, 0
	}
	behind := map[id.Store]bool{}
	for _, m := range a.peers.Members(a.journal.ID()) {
		// One that lives, and refuses or can't be reached, keeps nothing either.
		behind[m.Store] = m.Behind || !m.Own && m.Connected.IsZero()
	}
	drains, want := a.view.Drained(), a.cfg.Replication.Factor
	var drained []id.Store // members that could stay
	for _, s := range rec.Ensemble {
		l, live := a.view.Store(s)
		switch {
		case s == a.store.ID():
			next = append(next, s)
		case !live || l.Leaving || behind[s]:
		case drains[l.Broker]:
			drained = append(drained, s)
		default:
			next = append(next, s)
		}
	}
	kept := len(next)
	for _, s := range a.ensemble() {
		l, _ := a.view.Store(s)
		full := len(next) >= want || drains[l.Broker] && len(next)+len(drained) >= want
		if !full && !slices.Contains(rec.Ensemble, s) {
			next = append(next, s)
		}
	}
	if len(next) == kept {
		return nil, 0
	}
	next = append(next, drained[:max(0, min(len(drained), want-len(next)))]...)
	if len(next) < a.cfg.Replication.Quorum {
		return nil, 0
	}
	return next, a.patience(rec.Ensemble, next)
}

// patience is how long to wait before next takes the place of the present members. One whose
// agent is back with another store isn't waited for, unless another one would go with it
// that may only be restarting: all of next must be there to join.
func (a *Agent) patience(now, next []id.Store) time.Duration {
	patience := growAfter
	for _, s := range now {
		switch {
		case slices.Contains(next, s):
		case !a.view.Moved(s):
			return a.cfg.Replication.ReplaceAfter
		default:
			patience = 0
		}
	}
	return patience
}

// changeEnsemble seals the journal where it is committed and opens the next one with
// other members, in one transaction. What was sealed is made safe again by uploading
// it at once.
func (a *Agent) changeEnsemble(ctx context.Context, old id.Journal, rec cluster.Journal, members []id.Store) error {
	a.journalSeq++
	next := id.Journal{Writer: a.inc, Seq: a.journalSeq}
	ready := func() error { return a.stillOpen(ctx, old, rec) }
	err := a.peers.Switch(ctx, a.journal, next, members, a.cfg.Replication.Quorum, ready, func(end uint64) error {
		return a.sealAndOpen(ctx, old, rec, end, next, members)
	})
	if err != nil {
		a.shun(err)
		return err
	}
	a.log.Info("journal members changed", "journal", next, "members", members, "before", old)
	a.run(func() {
		if err := a.tier.flush(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("records of the previous journal not uploaded yet", "journal", old, "err", err)
		}
	})
	return nil
}

// askPatience bounds the question whether etcd is there.
const askPatience = time.Second

// stillOpen asks etcd for the journal's record just before commits have to wait for a
// transaction: while etcd is away no change is begun.
func (a *Agent) stillOpen(ctx context.Context, old id.Journal, rec cluster.Journal) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	kv, err := a.deps.Meta.Get(ctx, metadata.JournalKey(old))
	if err == nil && kv.Mod != rec.Mod {
		err = fmt.Errorf("its record has changed: %w", metadata.ErrConflict)
	}
	return err
}

// sealAndOpen sends the transaction until it is known to have taken effect: nil. An error
// says that others have ended the journal, or that this agent stops without knowing; the
// writer ends with it.
func (a *Agent) sealAndOpen(ctx context.Context, old id.Journal, rec cluster.Journal, end uint64, next id.Journal, members []id.Store) error {
	sealed, opened := rec.Journal, rec.Journal
	sealed.State, sealed.End = metadata.JournalSealed, end
	opened.Ensemble, opened.Quorum = members, uint8(a.cfg.Replication.Quorum)
	oldKey, newKey := metadata.JournalKey(old), metadata.JournalKey(next)
	for {
		_, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: oldKey, Mod: rec.Mod}, {Key: newKey}},
			metadata.Put(oldKey, sealed.Encode()), metadata.Put(newKey, opened.Encode()))
		if err == nil {
			return nil
		}
		if errors.Is(err, metadata.ErrConflict) {
			// An earlier try whose answer was lost, or somebody recovers the journal.
			if _, err = a.deps.Meta.Get(ctx, newKey); err == nil {
				return nil
			}
			if errors.Is(err, metadata.ErrNotFound) {
				err = fmt.Errorf("journal %v is not open as it was: %w", old, errReplaced)
				a.die(err)
				return err
			}
		}
		a.log.Warn("outcome of a change of journal members unknown, asking etcd", "journal", old, "err", err)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("whether the members have changed is not known: %w", errReplaced)
		}
	}
}
