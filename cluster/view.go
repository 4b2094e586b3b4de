// Package cluster is what every agent knows of the whole: live agents, topics
// and their settings, and who owns each partition, kept up to date from the
// metadata store; and the guarded transactions that change topics and settings.
//
// It promises that what it shows was true at some revision, never mixed for one
// topic, and that it goes on showing the last known state while the store is
// away. It never decides which agent should own what.
package cluster

import (
	"context"
	"log/slog"
	"sync"

	"varve/internal/id"
	"varve/metadata"
)

// View is the agent's picture of the cluster. It follows a table for each kind of record.
type View struct {
	store metadata.Store
	log   *slog.Logger
	kinds []kind

	mu struct {
		sync.RWMutex
		agents     *table[id.Broker, Live]
		journals   *table[id.Journal, Journal]
		slots      *table[int, Role]
		controller *table[struct{}, Role]
		members    *table[id.Broker, metadata.Member]
		topics     *table[string, *Topic]
		deleted    *table[id.Topic, metadata.DeletedTopic]
		owners     *table[id.Partition, metadata.StoredOwnership]
		moves      *table[id.Partition, Move]
		drained    *table[id.Broker, bool]
		loads      *table[id.Broker, metadata.Load]
		settings   *table[configured, metadata.Settings]

		homes   homes
		byID    topicsByID
		rev     map[string]metadata.Revision // by prefix
		broken  map[string]bool              // keys whose value could not be read
		changed chan struct{}                // closed and replaced at every change
	}
	ready chan struct{}
	done  sync.WaitGroup
}

// configured is what dynamic settings belong to.
type configured struct{ kind, name string }

// NewView makes a view; Run fills it.
func NewView(store metadata.Store, log *slog.Logger) *View {
	v := &View{store: store, log: log, ready: make(chan struct{})}
	m := &v.mu
	m.homes, m.byID, m.rev, m.broken = homes{}, topicsByID{}, map[string]metadata.Revision{}, map[string]bool{}
	m.changed = make(chan struct{})
	m.agents = newTable(metadata.ParseAgentKey, decodeLive)
	m.agents.changed = m.homes.agentChanged
	m.journals = newTable(metadata.ParseJournalKey, decodeJournal)
	m.slots = newTable(metadata.ParseSlotKey, decodeRole[int])
	m.controller = newTable(only(metadata.KeyController), decodeRole[struct{}])
	m.members = newTable(metadata.ParseMemberKey, plain[id.Broker](metadata.DecodeMember))
	m.members.changed = m.homes.memberChanged
	m.topics = newTable(metadata.ParseTopicKey, decodeTopic)
	m.topics.changed = m.byID.changed
	m.deleted = newTable(metadata.ParseDeletedKey, plain[id.Topic](metadata.DecodeDeletedTopic))
	m.owners = newTable(metadata.ParseOwnerKey, decodeOwner)
	m.owners.silent = func(before, now metadata.StoredOwnership) bool { return ownerOf(before) == ownerOf(now) } // its chain is the owner's matter
	m.moves = newTable(metadata.ParseMoveKey, decodeMove)
	m.drained = newTable(metadata.ParseDrainKey, decodeDrained)
	m.loads = newTable(metadata.ParseLoadKey, plain[id.Broker](metadata.DecodeLoad))
	m.loads.silent = func(metadata.Load, metadata.Load) bool { return true } // whoever needs them looks now and then
	m.settings = newTable(parseConfigured, plain[configured](metadata.DecodeSettings))
	// What others refer to comes first: changes of one transaction are mostly seen in this order.
	v.kinds = []kind{{metadata.PrefixAgents, m.agents}, {metadata.KeyController, m.controller}, {metadata.PrefixSlots, m.slots},
		{metadata.PrefixJournals, m.journals}, {metadata.PrefixTopics, m.topics}, {metadata.PrefixDeleted, m.deleted},
		{metadata.PrefixConfigs, m.settings}, {metadata.PrefixOwners, m.owners}, {metadata.PrefixMoves, m.moves},
		{metadata.PrefixDrained, m.drained}, {metadata.PrefixLoads, m.loads}, {metadata.PrefixMembers, m.members}}
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
func (v *View) Touch() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.mu.changed)
	v.mu.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change. Take it before
// looking.
func (v *View) Changed() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.changed
}

// Await returns once the view shows at least rev of the prefix.
func (v *View) Await(ctx context.Context, prefix string, rev metadata.Revision) error {
	for {
		v.mu.RLock()
		seen, changed := v.mu.rev[prefix], v.mu.changed
		v.mu.RUnlock()
		if seen >= rev {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *View) apply(k kind, batch metadata.Batch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := batch.Reset
	if batch.Reset {
		k.records.clear()
	}
	for _, e := range batch.Events {
		changed, err := k.records.apply(e)
		if err != nil {
			v.log.Error("metadata entry ignored", "key", e.KV.Key, "err", err)
			v.mu.broken[e.KV.Key] = true
		} else {
			delete(v.mu.broken, e.KV.Key)
		}
		news = news || changed
	}
	v.mu.rev[k.prefix] = max(v.mu.rev[k.prefix], batch.Rev)
	if !news {
		return // an agent's own bookkeeping
	}
	close(v.mu.changed)
	v.mu.changed = make(chan struct{})
	if len(v.mu.rev) == len(v.kinds) {
		select {
		case <-v.ready:
		default:
			close(v.ready)
		}
	}
}

// Unreadable reports whether some entry could not be read, so that what is shown may
// lack something.
func (v *View) Unreadable() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.mu.broken) > 0
}
