package cluster

import (
	"varve/internal/id"
	"varve/metadata"
)

// Owner is the agent that leads a partition; a zero Incarnation means that none does.
type Owner struct {
	Incarnation id.Incarnation
	Broker      id.Broker
	Epoch       id.Epoch
}

func ownerOf(o metadata.StoredOwnership) Owner { return Owner{o.Owner, o.Broker, o.Epoch} }

// Owner is the agent that leads a partition. The owner of record is shown as long as it
// lives: ok is false if no one owns it, or its agent is gone.
func (v *View) Owner(p id.Partition) (o Owner, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	o = ownerOf(v.mu.owners.rows[p])
	return o, o.Incarnation != 0 && v.mu.agents.rows[o.Broker].Incarnation == o.Incarnation
}

// Owners returns the owner of each partition, dead or alive.
func (v *View) Owners() map[id.Partition]Owner {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make(map[id.Partition]Owner, len(v.mu.owners.rows))
	for p, o := range v.mu.owners.rows {
		all[p] = ownerOf(o)
	}
	return all
}

// Ownership is what is stored of a partition's owner, dead or alive; its Mod is zero if no
// one ever owned it. It must not be changed.
func (v *View) Ownership(p id.Partition) metadata.StoredOwnership {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.owners.rows[p]
}

func decodeOwner(_ id.Partition, kv metadata.KV) (metadata.StoredOwnership, error) {
	return metadata.DecodeStoredOwnership(kv)
}
