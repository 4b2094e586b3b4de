package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
)

// join takes an incarnation and a session, and waits for the cluster's picture.
func (a *Agent) join(ctx, life context.Context) error {
	answers, err := a.bucket.join(ctx)
	if err != nil {
		return err
	}
	if a.id, err = ensureCluster(ctx, a.deps.Meta, a.random, a.deps.Now()); err != nil {
		return err
	}
	if err := a.checkCluster(); err != nil {
		return err
	}
	if answers {
		if err := a.bucket.finish(ctx); err != nil {
			return err
		}
	}
	if err := a.evictFormerSelf(ctx); err != nil {
		return err
	}
	last, err := metadata.Add(ctx, a.deps.Meta, metadata.KeyIncarnation, 1)
	if err != nil {
		return err
	}
	a.inc = id.Incarnation(last + 1)
	s, err := a.deps.Meta.Session(ctx, a.cfg.SessionTTL)
	if err != nil {
		return err
	}
	a.session.Store(&s)
	writing := metadata.DefaultWriterConfig()
	writing.Random = a.random.Split()
	a.heads = metadata.NewWriter(a.deps.Meta, writing, a.log.With("part", "metadata"), a.deps.Registry)
	a.view = cluster.NewView(a.deps.Meta, a.log)
	a.editor = cluster.NewEditor(a.view, a.deps.Meta, a.random.Split())
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
	const name = "cluster-id" // "cluster" is a folder of 'make cluster' in the same place
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

// evictFormerSelf ends the lease of an earlier run on this very store: the lock on its
// directory proves that it is dead, unless the directory is a copy of one in use. So one
// that still takes connections is waited for as long as its lease can last, as is another
// store under the same broker id.
func (a *Agent) evictFormerSelf(ctx context.Context) error {
	deadline := a.deps.Now().Add(2 * a.cfg.SessionTTL)
	for {
		old, err := a.inTheWay(ctx)
		if err != nil || old == nil {
			return err
		}
		if old.Store == a.store.ID() && old.Lease != 0 && !a.takesConnections(ctx, &old.Agent) {
			if err := a.deps.Meta.Revoke(ctx, old.Lease); err != nil {
				return err
			}
			continue
		}
		switch late := a.deps.Now().After(deadline); {
		case late && old.Store == a.store.ID():
			return fmt.Errorf("the data directory %s is a copy of that of a running agent: agent %v at %s lives, and has the same store %v. Delete all of %s on this machine, never there, and start again: the agent begins with an empty directory, and nothing is lost. If it was moved here on purpose, stop that agent first", a.cfg.DataDir, old.Broker, where(&old.Agent), old.Store, a.cfg.DataDir)
		case late:
			return fmt.Errorf("broker_id %v is in use by the agent at %s (incarnation %v, store %v), which lives: give this one a broker_id of its own. If it is to take that one's place, stop that one first", a.self, where(&old.Agent), old.Incarnation, old.Store)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// where reports where another agent is, also of one that tells no address for others.
func where(other *metadata.Agent) string {
	return cmp.Or(other.Host(), other.HTTP, "an unknown address")
}

// inTheWay returns a registered agent that has this one's broker id or its store, or nil.
func (a *Agent) inTheWay(ctx context.Context) (*cluster.Live, error) {
	kvs, _, err := a.deps.Meta.List(ctx, metadata.PrefixAgents)
	if err != nil {
		return nil, err
	}
	var found *cluster.Live
	for _, kv := range kvs {
		b, bad := metadata.ParseAgentKey(kv.Key)
		old, err := metadata.DecodeAgent(kv.Value)
		if err = errors.Join(bad, err); err != nil {
			if kv.Key == metadata.AgentKey(a.self) {
				return nil, err
			}
			continue
		}
		if b == a.self || old.Store == a.store.ID() {
			found = &cluster.Live{Broker: b, Agent: old, Lease: kv.Lease}
			if old.Store == a.store.ID() {
				return found, nil
			}
		}
	}
	return found, nil
}

// takesConnections reports whether somebody listens where an agent did. This one doesn't yet.
func (a *Agent) takesConnections(ctx context.Context, old *metadata.Agent) bool {
	at := old.Host()
	if a.deps.Dial == nil || at == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := a.deps.Dial(ctx, at)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
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
	me := metadata.Agent{Incarnation: a.inc, Store: a.store.ID(), Rack: a.cfg.Rack, Version: a.deps.Version, HTTP: a.advertisedHTTP(), Endpoints: a.endpoints, Peer: a.peerAddr, Leaving: a.leaving.Load()}
	key := metadata.AgentKey(a.self)
	kv, err := a.deps.Meta.Get(ctx, key)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return 0, err
	}
	if err == nil { // perhaps an earlier try whose answer was lost
		old, err := metadata.DecodeAgent(kv.Value)
		if err != nil {
			return 0, fmt.Errorf("%w: broker_id %v: %w", errTaken, a.self, err)
		}
		if old.Incarnation != a.inc {
			return 0, fmt.Errorf("%w: broker_id %v is that of the agent at %s (incarnation %v) by now; give each agent a broker_id of its own", errTaken, a.self, where(&old), old.Incarnation)
		}
	}
	member, err := a.membership(ctx, &me)
	if err != nil {
		return 0, err
	}
	before := a.seen.Newest()
	rev, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.PutLeased(key, me.Encode(), a.lease().Lease()),
		metadata.Put(metadata.MemberKey(a.self), member.Encode()))
	if err != nil {
		return 0, err
	}
	a.registered.Store(int64(rev))
	if err := a.seen.Confirm(before, rev, a.log, a.die); errors.Is(err, metadata.ErrOlder) {
		return 0, err
	}
	return rev, nil // a disk that can't note that is no reason to be shown to nobody
}

// membership is what is to be kept of this agent when it is gone.
func (a *Agent) membership(ctx context.Context, me *metadata.Agent) (m metadata.Member, err error) {
	kv, err := a.deps.Meta.Get(ctx, metadata.MemberKey(a.self))
	if err == nil {
		m, err = metadata.DecodeMember(kv.Value)
	}
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return m, err
	}
	m.Registered, m.Leaving, m.Version, m.HTTP = a.deps.Now(), me.Leaving, me.Version, me.HTTP
	m.Moved(metadata.StoreAt{Store: me.Store, Incarnation: me.Incarnation, Host: me.Host()})
	return m, nil
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
		a.log.Warn("etcd session lost, opening a new one")
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
			a.log.Warn("registration failed, retrying", "err", err)
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
