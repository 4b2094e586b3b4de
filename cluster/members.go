package cluster

import (
	"varve/internal/id"
	"varve/metadata/schema"
)

// Home is where a store was last seen.
type Home struct {
	Broker      id.Broker
	Incarnation id.Incarnation // that had it
	Host        string         // host:port of that agent; "" is not known
}

// homes is where each store was last seen. The view's lock guards it.
type homes map[id.Store]Home

// settle notes where a store is, unless that is older news.
func (hs homes) settle(s id.Store, h Home) {
	if was, known := hs[s]; !known || h.Incarnation >= was.Incarnation {
		hs[s] = h
	}
}

// agentChanged takes a change of a live agent.
func (hs homes) agentChanged(_ id.Broker, _, now *Live) {
	if now != nil {
		hs.settle(now.Store, Home{now.Broker, now.Incarnation, now.Host()})
	}
}

// memberChanged takes a change of what is kept of an agent.
func (hs homes) memberChanged(b id.Broker, _, now *schema.Member) {
	if now == nil {
		return
	}
	for _, s := range now.Stores {
		hs.settle(s.Store, Home{b, s.Incarnation, s.Host})
	}
}

// Members returns what is kept of all agents that belong to the cluster, alive or not.
func (v *View) Members() map[id.Broker]schema.Member {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.members.copied()
}

// Home returns the broker that had a store when it was last seen.
func (v *View) Home(s id.Store) (id.Broker, bool) {
	h, ok := v.StoreHome(s)
	return h.Broker, ok
}

// StoreHome returns where a store was when it was last seen.
func (v *View) StoreHome(s id.Store) (Home, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h, ok := v.mu.homes[s]
	return h, ok
}

// Moved reports whether the agent that had a store lives with another one: what that
// store held won't come back with it.
func (v *View) Moved(s id.Store) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h, known := v.mu.homes[s]
	if !known {
		return false
	}
	now := v.mu.agents.rows[h.Broker]
	return now.Incarnation > h.Incarnation && now.Store != s
}
