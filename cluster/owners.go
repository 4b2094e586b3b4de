package cluster

import (
	"varve/internal/id"
	"varve/metadata"
)

// Owner says who leads a partition; a zero Incarnation is nobody.
type Owner struct {
	Incarnation id.Incarnation
	Broker      id.Broker
	Epoch       id.Epoch
}

// Owner says who leads a partition. The owner of record is shown as long as it
// lives: ok is false if nobody owns it, or its agent is gone.
func (v *View) Owner(p id.Partition) (o Owner, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	o, ok = v.mu.owners.rows[p]
	return o, ok && o.Incarnation != 0 && v.mu.agents.rows[o.Broker].Incarnation == o.Incarnation
}

// Owners returns who owns each partition, dead or alive.
func (v *View) Owners() map[id.Partition]Owner {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.owners.copied()
}

func decodeOwner(_ id.Partition, kv metadata.KV) (Owner, error) {
	h, err := metadata.DecodeOwner(kv.Value)
	return Owner{h.Owner, h.Broker, h.Epoch}, err
}
