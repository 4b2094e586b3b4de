// Package cluster is what every agent knows of the whole: live agents, topics
// and their settings, and who owns each partition, kept up to date from the
// metadata store; and the guarded transactions that change topics and settings.
//
// It promises that what it shows was true at some revision, never mixed for one
// topic, and that it goes on showing the last known state while the store is
// away. It never decides who should own what.
package cluster

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
)

// Owner says who leads a partition; a zero Incarnation is nobody.
type Owner struct {
	Incarnation id.Incarnation
	Broker      id.Broker
	Epoch       id.Epoch
}

// Role is who has a part that one agent has at a time, and since which revision; a
// zero Incarnation is nobody.
type Role struct {
	metadata.Role
	Mod metadata.Revision
}

// Journal is a journal's record as of one moment. It must not be changed.
type Journal struct {
	metadata.Journal
	Mod metadata.Revision
}

// Topic is a topic as of one moment. It must not be changed.
type Topic struct {
	Name string
	metadata.Topic
	Mod metadata.Revision
}

// View is the agent's picture of the cluster.
type View struct {
	store  metadata.Store
	log    *slog.Logger
	random *chance.Source

	mu struct {
		sync.RWMutex
		agents  map[id.Broker]Live
		journal map[id.Journal]Journal
		slots   map[int]Role
		control Role
		homes   map[id.Store]Home // where each store was last seen
		members map[id.Broker]metadata.Member
		topics  map[string]*Topic
		byID    map[id.Topic]*Topic
		deleted map[id.Topic]metadata.DeletedTopic
		owners  map[id.Partition]Owner
		moves   map[id.Partition]Move
		drained map[id.Broker]bool
		loads   map[id.Broker]metadata.Load
		brokers map[string]metadata.Settings // dynamic settings, "" for all
		groups  map[string]metadata.Settings
		rev     map[string]metadata.Revision // by prefix watched
		broken  map[string]bool              // keys whose value could not be read
		changed chan struct{}                // closed and replaced at every change
	}
	ready chan struct{}
	done  sync.WaitGroup
}

// watched are the prefixes that a View follows.
var watched = []string{metadata.PrefixAgents, metadata.KeyController, metadata.PrefixSlots, metadata.PrefixJournals, metadata.PrefixTopics, metadata.PrefixDeleted, metadata.PrefixConfigs, metadata.PrefixHeads,
	metadata.PrefixMoves, metadata.PrefixDrained, metadata.PrefixLoads, metadata.PrefixMembers}

// NewView makes a view; Run fills it. random makes the ids of topics; nil is the
// system's.
func NewView(store metadata.Store, log *slog.Logger, random *chance.Source) *View {
	v := &View{store: store, log: log, random: random, ready: make(chan struct{})}
	v.mu.agents = map[id.Broker]Live{}
	v.mu.journal = map[id.Journal]Journal{}
	v.mu.slots = map[int]Role{}
	v.mu.homes = map[id.Store]Home{}
	v.mu.members = map[id.Broker]metadata.Member{}
	v.mu.topics = map[string]*Topic{}
	v.mu.byID = map[id.Topic]*Topic{}
	v.mu.deleted = map[id.Topic]metadata.DeletedTopic{}
	v.mu.owners = map[id.Partition]Owner{}
	v.mu.moves = map[id.Partition]Move{}
	v.mu.drained = map[id.Broker]bool{}
	v.mu.loads = map[id.Broker]metadata.Load{}
	v.mu.brokers = map[string]metadata.Settings{}
	v.mu.groups = map[string]metadata.Settings{}
	v.mu.rev = map[string]metadata.Revision{}
	v.mu.broken = map[string]bool{}
	v.mu.changed = make(chan struct{})
	return v
}

// Run follows the store until ctx ends.
func (v *View) Run(ctx context.Context) {
	for _, prefix := range watched {
		v.done.Add(1)
		go func() {
			defer v.done.Done()
			for batch := range v.store.Watch(ctx, prefix) {
				v.apply(prefix, batch)
			}
		}()
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

// Changed gives a channel that is closed at the next change. Take it before
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

func (v *View) apply(prefix string, batch metadata.Batch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := batch.Reset
	if batch.Reset {
		v.forget(prefix)
	}
	for _, e := range batch.Events {
		changed, err := v.event(prefix, e)
		if err != nil {
			v.log.Error("metadata entry ignored", "key", e.KV.Key, "err", err)
			v.mu.broken[e.KV.Key] = true
		} else {
			delete(v.mu.broken, e.KV.Key)
		}
		news = news || changed
	}
	v.mu.rev[prefix] = max(v.mu.rev[prefix], batch.Rev)
	if !news {
		return // an agent's own bookkeeping
	}
	close(v.mu.changed)
	v.mu.changed = make(chan struct{})
	if len(v.mu.rev) == len(watched) {
		select {
		case <-v.ready:
		default:
			close(v.ready)
		}
	}
}

// Unreadable says that some entry could not be read, so that what is shown may
// lack something.
func (v *View) Unreadable() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.mu.broken) > 0
}

func (v *View) forget(prefix string) {
	switch prefix {
	case metadata.PrefixAgents:
		clear(v.mu.agents)
	case metadata.KeyController:
		v.mu.control = Role{}
	case metadata.PrefixSlots:
		clear(v.mu.slots)
	case metadata.PrefixJournals:
		clear(v.mu.journal)
	case metadata.PrefixTopics:
		clear(v.mu.topics)
		clear(v.mu.byID)
	case metadata.PrefixDeleted:
		clear(v.mu.deleted)
	case metadata.PrefixConfigs:
		clear(v.mu.brokers)
		clear(v.mu.groups)
	case metadata.PrefixHeads:
		clear(v.mu.owners)
	case metadata.PrefixMoves:
		clear(v.mu.moves)
	case metadata.PrefixDrained:
		clear(v.mu.drained)
	case metadata.PrefixLoads:
		clear(v.mu.loads)
	case metadata.PrefixMembers:
		clear(v.mu.members)
	}
}

// event takes one change; changed says whether anybody could see it.
func (v *View) event(prefix string, e metadata.Event) (changed bool, err error) {
	gone := e.Type == metadata.EventDelete
	switch prefix {
	case metadata.PrefixAgents:
		return true, v.agentEvent(e.KV, gone)
	case metadata.KeyController:
		return true, v.controllerEvent(e.KV, gone)
	case metadata.PrefixSlots:
		return true, v.slotEvent(e.KV, gone)
	case metadata.PrefixJournals:
		return true, v.journalEvent(e.KV, gone)
	case metadata.PrefixTopics:
		return true, v.topicEvent(e.KV, gone)
	case metadata.PrefixDeleted:
		return true, v.deletedEvent(e.KV, gone)
	case metadata.PrefixConfigs:
		return true, v.configEvent(e.KV, gone)
	case metadata.PrefixMoves:
		return true, v.moveEvent(e.KV, gone)
	case metadata.PrefixDrained:
		return true, v.drainEvent(e.KV, gone)
	case metadata.PrefixLoads:
		return false, v.loadEvent(e.KV, gone)
	case metadata.PrefixMembers:
		return true, v.memberEvent(e.KV, gone)
	}
	return v.headEvent(e.KV, gone)
}

func (v *View) agentEvent(kv metadata.KV, gone bool) error {
	b, err := metadata.ParseAgentKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.agents, b)
		return err
	}
	a, err := metadata.DecodeAgent(kv.Value)
	if err == nil {
		v.mu.agents[b] = Live{b, a, kv.Lease}
		v.settle(a.Store, Home{b, a.Incarnation, a.Host()})
	}
	return err
}

func (v *View) controllerEvent(kv metadata.KV, gone bool) error {
	r, err := role(kv, gone)
	if err == nil && kv.Key == metadata.KeyController {
		v.mu.control = r
	}
	return err
}

func (v *View) slotEvent(kv metadata.KV, gone bool) error {
	slot, err := metadata.ParseSlotKey(kv.Key)
	if err != nil {
		return err
	}
	r, err := role(kv, gone)
	if err == nil {
		v.mu.slots[slot] = r
	}
	return err
}

func role(kv metadata.KV, gone bool) (r Role, err error) {
	if !gone {
		r.Mod = kv.Mod
		r.Role, err = metadata.DecodeRole(kv.Value)
	}
	return r, err
}

func (v *View) journalEvent(kv metadata.KV, gone bool) error {
	j, err := metadata.ParseJournalKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.journal, j)
		return err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	if err == nil {
		v.mu.journal[j] = Journal{rec, kv.Mod}
	}
	return err
}

func (v *View) topicEvent(kv metadata.KV, gone bool) error {
	name, err := metadata.ParseTopicKey(kv.Key)
	if err != nil {
		return err
	}
	var t metadata.Topic
	if !gone {
		if t, err = metadata.DecodeTopic(kv.Value); err != nil {
			return err // what was known stays: it is not deleted
		}
	}
	if old := v.mu.topics[name]; old != nil {
		delete(v.mu.topics, name)
		delete(v.mu.byID, old.ID)
	}
	if !gone {
		n := &Topic{name, t, kv.Mod}
		v.mu.topics[name], v.mu.byID[t.ID] = n, n
	}
	return nil
}

func (v *View) deletedEvent(kv metadata.KV, gone bool) error {
	t, err := metadata.ParseDeletedKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.deleted, t)
		return err
	}
	d, err := metadata.DecodeDeletedTopic(kv.Value)
	if err == nil {
		v.mu.deleted[t] = d
	}
	return err
}

func (v *View) configEvent(kv metadata.KV, gone bool) error {
	kind, name, err := metadata.ParseConfigKey(kv.Key)
	if err != nil {
		return err
	}
	m := v.mu.brokers
	if kind == "group" {
		m = v.mu.groups
	}
	if gone {
		delete(m, name)
		return nil
	}
	s, err := metadata.DecodeSettings(kv.Value)
	if err == nil {
		m[name] = s
	}
	return err
}

func (v *View) headEvent(kv metadata.KV, gone bool) (changed bool, err error) {
	p, err := metadata.ParseHeadKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.owners, p)
		return true, err
	}
	h, err := metadata.DecodeOwner(kv.Value)
	if err != nil {
		return false, err
	}
	now := Owner{h.Owner, h.Broker, h.Epoch}
	changed = v.mu.owners[p] != now
	v.mu.owners[p] = now
	return changed, nil
}

// Topic looks a topic up by name.
func (v *View) Topic(name string) (*Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.mu.topics[name]
	return t, ok
}

// TopicByID looks a topic up by id.
func (v *View) TopicByID(t id.Topic) (*Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n, ok := v.mu.byID[t]
	return n, ok
}

// Topics lists all topics in order of names.
func (v *View) Topics() []*Topic {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.SortedFunc(maps.Values(v.mu.topics), func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
}

// Deleted lists the topics whose data is still kept.
func (v *View) Deleted() map[id.Topic]metadata.DeletedTopic {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.deleted)
}

// Owner says who leads a partition. The owner of record is shown as long as it
// lives: ok is false if nobody owns it, or its agent is gone.
func (v *View) Owner(p id.Partition) (o Owner, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	o, ok = v.mu.owners[p]
	return o, ok && o.Incarnation != 0 && v.mu.agents[o.Broker].Incarnation == o.Incarnation
}

// Live is one live agent.
type Live struct {
	Broker id.Broker
	metadata.Agent
	Lease metadata.Lease
}

// Alive says whether an incarnation has a session.
func (v *View) Alive(i id.Incarnation, b id.Broker) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return i != 0 && v.mu.agents[b].Incarnation == i
}

// Agent gives a live agent.
func (v *View) Agent(b id.Broker) (Live, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.mu.agents[b]
	return a, ok
}

// Succeeded says whether a later incarnation lives under an agent's broker id, which
// is taken only when the former agent is gone.
func (v *View) Succeeded(i id.Incarnation, b id.Broker) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.agents[b].Incarnation > i
}

// Store gives the live agent that has a store.
func (v *View) Store(s id.Store) (Live, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, a := range v.mu.agents {
		if a.Store == s {
			return a, true
		}
	}
	return Live{}, false
}

// Controller says which agent is the controller.
func (v *View) Controller() Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.control
}

// Slots gives the owners of the coordinator slots.
func (v *View) Slots() map[int]Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.slots)
}

// Slot gives the owner of a coordinator slot.
func (v *View) Slot(slot int) Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.slots[slot]
}

// Journals gives the records of all journals.
func (v *View) Journals() map[id.Journal]Journal {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.journal)
}

// Owners gives who owns each partition, dead or alive.
func (v *View) Owners() map[id.Partition]Owner {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.owners)
}

// Agents lists the live agents by broker id.
func (v *View) Agents() []Live {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := slices.Collect(maps.Values(v.mu.agents))
	slices.SortFunc(out, func(a, b Live) int { return int(a.Broker) - int(b.Broker) })
	return out
}

// BrokerSettings gives the dynamic settings of a broker; "" for those of all.
func (v *View) BrokerSettings(broker string) metadata.Settings {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.brokers[broker]
}

// GroupSettings gives the dynamic settings of a group.
func (v *View) GroupSettings(group string) metadata.Settings {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.groups[group]
}
