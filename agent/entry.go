package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"varve/cluster"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata/schema"
)

// entry checks that this agent may join a cluster with its data directory and broker id.
type entry struct {
	*process
	cluster string // its id
	store   id.Store
}

// checkCluster refuses a data directory that belongs to another cluster: with the
// wrong etcd its journals would look as if they belonged to no agent.
func (e *entry) checkCluster() error {
	const name = "cluster-id" // "cluster" is a folder of 'make cluster' in the same place
	b, err := vfs.ReadFile(e.deps.FS, e.cfg.DataDir+"/"+name, 256)
	if errors.Is(err, vfs.ErrNotExist) {
		return vfs.WriteFile(e.deps.FS, e.cfg.DataDir, name, []byte(e.cluster))
	}
	if err != nil {
		return fmt.Errorf("read the data directory's cluster id: %w", err)
	}
	if string(b) != e.cluster {
		return fmt.Errorf("the data directory %s belongs to cluster %s, but etcd's prefix holds cluster %s: check etcd.endpoints and etcd.prefix", e.cfg.DataDir, b, e.cluster)
	}
	return nil
}

// evictFormerSelf ends the lease of an earlier run on this very store: the lock on its
// directory proves that it is dead, unless the directory is a copy of one in use. So one
// that still takes connections is waited for as long as its lease can last, as is another
// store under the same broker id.
func (e *entry) evictFormerSelf(ctx context.Context) error {
	deadline := e.deps.Now().Add(2 * e.cfg.SessionTTL)
	for {
		old, err := e.inTheWay(ctx)
		if err != nil || old == nil {
			return err
		}
		if old.Store == e.store && old.Lease != 0 && !e.takesConnections(ctx, &old.Agent) {
			if err := e.deps.Meta.Revoke(ctx, old.Lease); err != nil {
				return err
			}
			continue
		}
		switch late := e.deps.Now().After(deadline); {
		case late && old.Store == e.store:
			return fmt.Errorf("the data directory %s is a copy of that of a running agent: agent %v at %s lives, and has the same store %v. Delete all of %s on this machine, never there, and start again: the agent begins with an empty directory, and nothing is lost. If it was moved here on purpose, stop that agent first", e.cfg.DataDir, old.Broker, where(&old.Agent), old.Store, e.cfg.DataDir)
		case late:
			return fmt.Errorf("broker_id %v is in use by the agent at %s (incarnation %v, store %v), which lives: give this one a broker_id of its own. If it is to take that one's place, stop that one first", e.self, where(&old.Agent), old.Incarnation, old.Store)
		}
		if backoff.Sleep(ctx, 200*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// where reports where another agent is, also of one that tells no address for others.
func where(other *schema.Agent) string {
	return cmp.Or(other.Host(), other.HTTP, "an unknown address")
}

// inTheWay returns a registered agent that has this one's broker id or its store, or nil.
func (e *entry) inTheWay(ctx context.Context) (*cluster.Live, error) {
	kvs, _, err := e.deps.Meta.List(ctx, schema.PrefixAgents)
	if err != nil {
		return nil, err
	}
	var found *cluster.Live
	for _, kv := range kvs {
		b, bad := schema.ParseAgentKey(kv.Key)
		old, err := schema.DecodeAgent(kv.Value)
		if err = errors.Join(bad, err); err != nil {
			if kv.Key == schema.AgentKey(e.self) {
				return nil, err
			}
			continue
		}
		if b == e.self || old.Store == e.store {
			found = &cluster.Live{Broker: b, Agent: old, Lease: kv.Lease}
			if old.Store == e.store {
				return found, nil
			}
		}
	}
	return found, nil
}

// takesConnections reports whether someone listens where an agent did. This one doesn't yet.
func (e *entry) takesConnections(ctx context.Context, old *schema.Agent) bool {
	at := old.Host()
	if e.deps.Dial == nil || at == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := e.deps.Dial(ctx, at)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
