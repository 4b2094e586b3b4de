package cluster

import (
	"maps"
	"slices"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Live is one live agent.
type Live struct {
	Broker id.Broker
	schema.Agent
	Lease metadata.Lease
}

// Alive reports whether an incarnation has a session.
func (v *View) Alive(i id.Incarnation, b id.Broker) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return i != 0 && v.mu.agents.rows[b].Incarnation == i
}

// Agent returns a live agent.
func (v *View) Agent(b id.Broker) (Live, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.mu.agents.rows[b]
	return a, ok
}

// Succeeded reports whether a later incarnation lives under an agent's broker id, which
// is taken only when the former agent is gone.
func (v *View) Succeeded(i id.Incarnation, b id.Broker) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.agents.rows[b].Incarnation > i
}

// Store returns the live agent that has a store.
func (v *View) Store(s id.Store) (Live, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, a := range v.mu.agents.rows {
		if a.Store == s {
			return a, true
		}
	}
	return Live{}, false
}

// Agents lists the live agents by broker id.
func (v *View) Agents() []Live {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := slices.Collect(maps.Values(v.mu.agents.rows))
	slices.SortFunc(out, func(a, b Live) int { return int(a.Broker) - int(b.Broker) })
	return out
}

func decodeLive(b id.Broker, kv metadata.KV) (Live, error) {
	a, err := schema.DecodeAgent(kv.Value)
	return Live{b, a, kv.Lease}, err
}
