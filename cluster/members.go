package cluster

import (
	"context"
	"fmt"
	"maps"

	"varve/internal/id"
	"varve/metadata"
)

// Home is where a store was last seen.
type Home struct {
	Broker      id.Broker
	Incarnation id.Incarnation // that had it
	Host        string         // host:port of that agent; "" is not known
}

// settle notes where a store is, unless that is older news; the lock is held.
func (v *View) settle(s id.Store, h Home) {
	if was, known := v.mu.homes[s]; !known || h.Incarnation >= was.Incarnation {
		v.mu.homes[s] = h
	}
}

func (v *View) memberEvent(kv metadata.KV, gone bool) error {
	b, err := metadata.ParseMemberKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.members, b)
		return err
	}
	m, err := metadata.DecodeMember(kv.Value)
	if err == nil {
		v.mu.members[b] = m
		for _, s := range m.Stores {
			v.settle(s.Store, Home{b, s.Incarnation, s.Host})
		}
	}
	return err
}

// Members returns what is kept of all agents that belong to the cluster, alive or not.
func (v *View) Members() map[id.Broker]metadata.Member {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.members)
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
	now := v.mu.agents[h.Broker]
	return now.Incarnation > h.Incarnation && now.Store != s
}

// Forget removes an agent that won't come back from those that are expected.
func (v *View) Forget(ctx context.Context, b id.Broker) error {
	if _, live := v.Agent(b); live {
		return Refuse(ErrNoAgent, "agent %d is alive: stop it first, or drain it", b)
	}
	if _, known := v.Members()[b]; !known {
		return Refuse(ErrUnknownAgent, "agent %d is not known", b)
	}
	guards := []metadata.Guard{{Key: metadata.AgentKey(b)}} // it may come back just now
	rev, err := v.store.Txn(ctx, guards, metadata.Delete(metadata.MemberKey(b)), metadata.Delete(metadata.DrainKey(b)))
	if err != nil {
		return fmt.Errorf("forget agent %d: %w", b, err)
	}
	return v.Await(ctx, metadata.PrefixMembers, rev)
}
