// Package cluster is what every agent knows of the whole: live agents, topics
// and their settings, and who owns each partition, kept up to date from the
// metadata store; and the guarded transactions that change topics, settings, users, ACLs and
// quotas.
//
// It promises that what it shows was true at some revision, never mixed for one
// topic, and that it goes on showing the last known state while the store is
// away. It never decides which agent should own what.
package cluster

import (
	"context"
	"log/slog"
	"sync"

	"varve/internal/mutate"
	"varve/internal/notify"
	"varve/metadata"
	"varve/metadata/schema"
)

// View is the agent's picture of the cluster. It follows a table for each kind of record.
type View struct {
	store  metadata.Store
	log    *slog.Logger
	kinds  []kind
	ACLs   *ACLs
	Quotas *Quotas
	Levels *Levels

	mu struct {
		sync.RWMutex
		tables
		rev    map[string]metadata.Revision // by prefix
		broken map[string]bool              // keys whose value could not be read
	}
	changed notify.Broadcast // at every change that readers may see
	applied notify.Broadcast // at every change
	ready   chan struct{}
	done    sync.WaitGroup
}

// configured is what dynamic settings belong to.
type configured struct{ kind, name string }

// NewView makes a view; Run fills it.
func NewView(store metadata.Store, log *slog.Logger) *View {
	v := &View{store: store, log: log, ready: make(chan struct{})}
	v.mu.tables, v.mu.rev, v.mu.broken = newTables(), map[string]metadata.Revision{}, map[string]bool{}
	v.kinds, v.ACLs, v.Quotas, v.Levels = v.mu.tables.kinds(), v.mu.rules, v.mu.tables.quota, v.mu.tables.level
	v.Levels.view = v
	return v
}

// Run follows the store until ctx ends.
func (v *View) Run(ctx context.Context) {
	for _, k := range v.kinds {
		v.done.Go(func() {
			for batch := range v.store.Watch(ctx, k.prefix) {
				v.apply(k, batch)
			}
		})
	}
	v.done.Wait()
}

// Ready is closed once the whole state was seen.
func (v *View) Ready() <-chan struct{} { return v.ready }

// Touch makes those who follow the view look again.
func (v *View) Touch() { v.changed.Send() }

// Changed returns a channel that is closed at the next change. Take it before
// looking.
func (v *View) Changed() <-chan struct{} { return v.changed.Next() }

// Await returns once the view shows at least rev of the prefix.
func (v *View) Await(ctx context.Context, prefix string, rev metadata.Revision) error {
	for {
		applied := v.applied.Next()
		v.mu.RLock()
		seen := v.mu.rev[prefix]
		v.mu.RUnlock()
		if seen >= rev {
			return nil
		}
		select {
		case <-applied:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *View) apply(k kind, batch metadata.Batch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := batch.Reset
	if batch.Reset && !mutate.On(mutate.KeepOld) {
		k.records.clear()
	}
	for _, e := range batch.Events {
		if missed(k, e) {
			continue
		}
		changed, err := k.records.apply(e)
		if err != nil {
			v.log.Error("metadata entry ignored", "key", e.KV.Key, "err", err)
			v.mu.broken[e.KV.Key] = true
		} else {
			delete(v.mu.broken, e.KV.Key)
		}
		news = news || changed
	}
	k.records.settle()
	v.mu.rev[k.prefix] = max(v.mu.rev[k.prefix], batch.Rev)
	v.applied.Send()
	if !news {
		return // an agent's own bookkeeping
	}
	v.changed.Send()
	if len(v.mu.rev) == len(v.kinds) {
		select {
		case <-v.ready:
		default:
			close(v.ready)
		}
	}
}

// missed reports whether a mutation has the view miss a change.
func missed(k kind, e metadata.Event) bool {
	return e.Type == metadata.EventDelete && (k.prefix == schema.PrefixACLs && mutate.On(mutate.MissACLs) || k.prefix == schema.PrefixUsers && mutate.On(mutate.MissUsers))
}

// Unreadable reports whether some entry could not be read, so that what is shown may
// lack something.
func (v *View) Unreadable() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.mu.broken) > 0
}
