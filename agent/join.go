package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/wal"
)

// join takes an incarnation and a session, and waits for the cluster's picture.
func (a *Agent) join(ctx, life context.Context) error {
	var err error
	if a.id, err = ensureCluster(ctx, a.deps.Meta, a.deps.Now()); err != nil {
		return err
	}
	if err := a.checkCluster(); err != nil {
		return err
	}
	if err := a.evictFormerSelf(ctx); err != nil {
		return err
	}
	if a.inc, err = takeIncarnation(ctx, a.deps.Meta); err != nil {
		return err
	}
	s, err := a.deps.Meta.Session(ctx, a.cfg.SessionTTL)
	if err != nil {
		return err
	}
	a.session.Store(&s)
	a.heads = metadata.NewWriter(a.deps.Meta, metadata.DefaultWriterConfig(), a.log.With("part", "metadata"), a.deps.Registry)
	a.view = cluster.NewView(a.deps.Meta, a.log)
	a.run(func() { a.view.Run(life) })
	select {
	case <-a.view.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkCluster refuses a data directory that belongs to another cluster: with the
// wrong etcd its journals would look like nobody's.
func (a *Agent) checkCluster() error {
	const name = "cluster"
	b, err := vfs.ReadFile(a.deps.FS, a.cfg.DataDir+"/"+name, 256)
	if errors.Is(err, vfs.ErrNotExist) {
		return vfs.WriteFile(a.deps.FS, a.cfg.DataDir, name, []byte(a.id))
	}
	if err != nil {
		return fmt.Errorf("read the data directory's cluster id: %w", err)
	}
	if string(b) != a.id {
		return fmt.Errorf("the data directory %s belongs to cluster %s, but etcd's prefix holds cluster %s: check etcd.endpoints and etcd.prefix", a.cfg.DataDir, b, a.id)
	}
	return nil
}

// evictFormerSelf ends the lease of an earlier run on this very store: the lock
// on its directory proves that it is dead. Another store under the same broker
// id may be alive; it is waited for as long as its lease can last.
func (a *Agent) evictFormerSelf(ctx context.Context) error {
	deadline := a.deps.Now().Add(2 * a.cfg.SessionTTL)
	for {
		kv, err := a.deps.Meta.Get(ctx, metadata.AgentKey(a.self))
		if errors.Is(err, metadata.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		old, err := metadata.DecodeAgent(kv.Value)
		if err != nil {
			return err
		}
		if old.Store == a.store.ID() && kv.Lease != 0 {
			return a.deps.Meta.Revoke(ctx, kv.Lease)
		}
		if a.deps.Now().After(deadline) {
			return fmt.Errorf("broker id %v is in use by another agent (incarnation %v, store %v)", a.self, old.Incarnation, old.Store)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// register shows the agent to the others, and so to clients, and keeps it shown.
func (a *Agent) register(ctx, life context.Context) error {
	rev, err := a.announce(ctx)
	if err != nil {
		return err
	}
	a.run(func() { a.keepRegistered(life) })
	return a.view.Await(ctx, metadata.PrefixAgents, rev)
}

// announce writes the agent's key, which goes with its session.
func (a *Agent) announce(ctx context.Context) (metadata.Revision, error) {
	me := metadata.Agent{Incarnation: a.inc, Store: a.store.ID(), Rack: a.cfg.Rack, Version: a.deps.Version, HTTP: a.cfg.HTTP, Endpoints: a.endpoints}
	key := metadata.AgentKey(a.self)
	kv, err := a.deps.Meta.Get(ctx, key)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return 0, err
	}
	if err == nil { // perhaps an earlier try whose answer was lost
		old, err := metadata.DecodeAgent(kv.Value)
		if err != nil || old.Incarnation != a.inc {
			return 0, fmt.Errorf("%w: broker id %v, incarnation %v", errTaken, a.self, old.Incarnation)
		}
	}
	return a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.PutLeased(key, me.Encode(), a.lease().Lease()))
}

// errTaken ends an agent that somebody else has taken the place of.
var errTaken = errors.New("another agent has the broker id")

// keepRegistered takes a new session when one was lost. That is no death: the
// agent owns what nobody took meanwhile, which its guarded writes find out.
func (a *Agent) keepRegistered(life context.Context) {
	for {
		select {
		case <-a.lease().Lost():
		case <-life.Done():
			return
		}
		a.log.Warn("the session with etcd was lost; taking a new one")
		for {
			err := a.registerAgain(life)
			if err == nil {
				a.log.Info("registered again")
				break
			}
			if life.Err() != nil {
				return
			}
			if errors.Is(err, errTaken) {
				a.die(err)
				return
			}
			a.log.Warn("not registered again yet", "err", err)
			select {
			case <-time.After(200 * time.Millisecond):
			case <-life.Done():
				return
			}
		}
	}
}

// lease is the present session.
func (a *Agent) lease() metadata.Session { return *a.session.Load() }

func (a *Agent) registerAgain(ctx context.Context) error {
	s, err := a.deps.Meta.Session(ctx, a.cfg.SessionTTL)
	if err != nil {
		return err
	}
	a.session.Store(&s)
	if _, err = a.announce(ctx); err != nil && !errors.Is(err, errTaken) {
		_ = s.Close(ctx) // it ends by itself too
	}
	return err
}

// recoverJournals decides the end of every journal that this store keeps and
// that an earlier incarnation left open (DESIGN 4; with an ensemble of one this
// store's answer is all there is).
func (a *Agent) recoverJournals(ctx, _ context.Context) error {
	for _, j := range a.store.Journals() {
		if err := a.recoverJournal(ctx, j); err != nil {
			return fmt.Errorf("journal %v: %w", j, err)
		}
	}
	return nil
}

func (a *Agent) recoverJournal(ctx context.Context, j id.Journal) error {
	key := metadata.JournalKey(j)
	kv, err := a.deps.Meta.Get(ctx, key)
	if errors.Is(err, metadata.ErrNotFound) {
		return a.forgetJournal(j)
	}
	if err != nil {
		return err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	if err != nil {
		return err
	}
	if len(rec.Ensemble) != 1 || rec.Ensemble[0] != a.store.ID() {
		return fmt.Errorf("it belongs to the stores %v, not to this one alone (%v)", rec.Ensemble, a.store.ID())
	}
	if rec.State == metadata.JournalSealed {
		if _, err := a.store.Recover(j); err != nil {
			return err
		}
		return a.store.Seal(j, rec.End)
	}
	// Step 1: from open, or an older recovery, to recovering(E).
	rec.State = metadata.JournalRecovering
	rev, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, rec.Encode()))
	if err != nil {
		return fmt.Errorf("begin recovery: %w", err)
	}
	// Steps 2 to 4: fence, and find the last entry.
	rec.Fence = uint64(rev)
	last, err := a.store.Fence(j, rec.Fence)
	if err != nil {
		return err
	}
	// Step 5: this decides the end.
	rec.State, rec.End = metadata.JournalSealed, last
	if _, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: rev}}, metadata.Put(key, rec.Encode())); err != nil {
		return fmt.Errorf("seal at entry %d: %w", last, err)
	}
	a.log.Info("journal recovered", "journal", j, "entries", last)
	return a.store.Seal(j, last)
}

// forgetJournal drops a journal that etcd doesn't know: it was never opened, or
// the tier has all of it.
func (a *Agent) forgetJournal(j id.Journal) error {
	if _, sealed := a.store.Sealed(j); !sealed {
		last, err := a.store.Recover(j)
		if err != nil {
			return err
		}
		if last > 0 {
			return fmt.Errorf("it holds %d entries, but etcd does not know it: was etcd restored from an older state? Nothing was changed", last)
		}
		if err := a.store.Seal(j, 0); err != nil {
			return err
		}
	}
	a.log.Info("journal is needed no more", "journal", j)
	a.store.Drop(j)
	return nil
}

// openJournal opens this incarnation's journal: the store joins it durably before
// etcd names it.
func (a *Agent) openJournal(ctx, _ context.Context) error {
	j := id.Journal{Writer: a.inc, Seq: 1}
	if err := a.store.Join(j, wal.Membership{FileBytes: a.store.FileBytes()}); err != nil {
		return err
	}
	rec := metadata.Journal{State: metadata.JournalOpen, Broker: a.self, Ensemble: []id.Store{a.store.ID()}, Quorum: 1}
	key := metadata.JournalKey(j)
	if _, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key}}, metadata.Put(key, rec.Encode())); err != nil {
		return err
	}
	var err error
	a.journal, err = a.store.Create(j, nil)
	return err
}

// sealOwn ends this incarnation's journal for good, after the writer is closed.
func (a *Agent) sealOwn(ctx context.Context, w *wal.Writer) error {
	j := w.ID()
	key := metadata.JournalKey(j)
	kv, err := a.deps.Meta.Get(ctx, key)
	if err != nil {
		return err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	if err != nil {
		return err
	}
	if rec.State != metadata.JournalOpen {
		return fmt.Errorf("journal %v is %v", j, rec.State)
	}
	rec.State, rec.End = metadata.JournalSealed, w.Committed()
	if _, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, rec.Encode())); err != nil {
		return err
	}
	return a.store.Seal(j, rec.End)
}
