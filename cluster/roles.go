package cluster

import (
	"varve/metadata"
	"varve/metadata/schema"
)

// Role is the agent that has a part of which there is one, and since which revision; a
// zero Incarnation means that none does.
type Role struct {
	schema.Role
	Mod metadata.Revision
}

// Controller returns which agent is the controller.
func (v *View) Controller() Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.controller.rows[struct{}{}]
}

// Slots returns the owners of the coordinator slots.
func (v *View) Slots() map[int]Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.slots.copied()
}

// Slot returns the owner of a coordinator slot.
func (v *View) Slot(slot int) Role {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.slots.rows[slot]
}

func decodeRole[K any](_ K, kv metadata.KV) (r Role, err error) {
	r.Mod = kv.Mod
	r.Role, err = schema.DecodeRole(kv.Value)
	return r, err
}
