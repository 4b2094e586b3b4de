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

// Owner is the agent that leads a partition. The owner of record is shown as long as it
// lives: ok is false if no one owns it, or its agent is gone.
func (v *View) Owner(p id.Partition) (o Owner, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	o, ok = v.mu.owners.rows[p]
	return o, ok && o.Incarnation != 0 && v.mu.agents.rows[o.Broker].Incarnation == o.Incarnation
}

// Owners returns the owner of each partition, dead or alive.
func (v *View) Owners() map[id.Partition]Owner {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.owners.copied()
}

func decodeOwner(_ id.Partition, kv metadata.KV) (Owner, error) {
	h, err := metadata.DecodeOwnership(kv.Value)
	return Owner{h.Owner, h.Broker, h.Epoch}, err
}
