package cluster

import (
	"maps"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Owner is the agent that leads a partition; a zero Incarnation means that none does.
type Owner struct {
	Incarnation id.Incarnation
	Broker      id.Broker
	Epoch       id.Epoch
}

func ownerOf(o schema.StoredOwnership) Owner { return Owner{o.Owner, o.Broker, o.Epoch} }

// Owner is the agent that leads a partition. The owner of record is shown as long as it
// lives: ok is false if no one owns it, or its agent is gone.
func (v *View) Owner(p id.Partition) (o Owner, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	o = ownerOf(v.mu.owners.rows[p])
	return o, o.Incarnation != 0 && v.mu.agents.rows[o.Broker].Incarnation == o.Incarnation
}

// Owners returns the owner of each partition, dead or alive. The map must not be changed: it
// is made anew only when an owner changes.
func (v *View) Owners() map[id.Partition]Owner {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mu.allOwners()
}

// allOwners is View.Owners.
func (t *tables) allOwners() map[id.Partition]Owner {
	if t.owned.all == nil {
		t.owned.all = make(map[id.Partition]Owner, len(t.owners.rows))
		for p, o := range t.owners.rows {
			t.owned.all[p] = ownerOf(o)
		}
	}
	return t.owned.all
}

// OwnerCounts are the numbers of partitions that have an owner, dead or alive.
type OwnerCounts struct {
	Owners map[Owner]int    // by owner; Epoch is zero
	Topics map[id.Topic]int // by topic
}

// OwnersCounted returns Owners and their counts, both at one moment.
func (v *View) OwnersCounted() (map[id.Partition]Owner, OwnerCounts) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mu.allOwners(), OwnerCounts{maps.Clone(v.mu.owned.counts.Owners), maps.Clone(v.mu.owned.counts.Topics)}
}

// OwnedBy returns the partitions of which an agent is the owner of record, in any of its
// incarnations.
func (v *View) OwnedBy(b id.Broker) map[id.Partition]Owner {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make(map[id.Partition]Owner, len(v.mu.owned.by[b]))
	for p := range v.mu.owned.by[b] {
		all[p] = ownerOf(v.mu.owners.rows[p])
	}
	return all
}

// owned is derived from the table of owners. The view's lock guards it.
type owned struct {
	by     map[id.Broker]map[id.Partition]struct{}
	counts OwnerCounts
	all    map[id.Partition]Owner // nil: to be made
}

func newOwned() *owned {
	return &owned{by: map[id.Broker]map[id.Partition]struct{}{}, counts: OwnerCounts{map[Owner]int{}, map[id.Topic]int{}}}
}

// changed takes a change of an owner.
func (o *owned) changed(p id.Partition, before, now *schema.StoredOwnership) {
	o.all = nil
	o.count(p, before, -1)
	o.count(p, now, 1)
	if before != nil {
		delete(o.by[before.Broker], p)
		if len(o.by[before.Broker]) == 0 {
			delete(o.by, before.Broker)
		}
	}
	if now != nil && now.Owner != 0 {
		if o.by[now.Broker] == nil {
			o.by[now.Broker] = map[id.Partition]struct{}{}
		}
		o.by[now.Broker][p] = struct{}{}
	}
}

// count adds n to the counts of a partition with an owner.
func (o *owned) count(p id.Partition, of *schema.StoredOwnership, n int) {
	if of == nil || of.Owner == 0 {
		return
	}
	add(o.counts.Owners, Owner{Incarnation: of.Owner, Broker: of.Broker}, n)
	add(o.counts.Topics, p.Topic, n)
}

// add adds n to a count, and deletes a count that becomes zero.
func add[K comparable](counts map[K]int, k K, n int) {
	if counts[k] += n; counts[k] == 0 {
		delete(counts, k)
	}
}

// Ownership is what is stored of a partition's owner, dead or alive; its Mod is zero if no
// one ever owned it. It must not be changed.
func (v *View) Ownership(p id.Partition) schema.StoredOwnership {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.owners.rows[p]
}

func decodeOwner(_ id.Partition, kv metadata.KV) (schema.StoredOwnership, error) {
	return schema.DecodeStoredOwnership(kv)
}
