package metadata

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is the twin of etcd in memory: any number of handles share it, as
// agents share a cluster. It keeps time with timers only, so that it runs under
// testing/synctest, and holds its lock over no wait.
//
// Outages are etcd's: while it is not available, calls wait for it and end as
// ErrUnavailable after RequestTimeout, watches and keepalives stall, and no
// lease expires; when it is back every lease has its whole time to live again,
// as under a new etcd leader. A handle that is disconnected alone sees the same,
// but its leases expire meanwhile.
type Memory struct {
	// RequestTimeout is how long a call waits for a store that is away.
	RequestTimeout time.Duration

	mu struct {
		sync.Mutex
		rev       Revision
		keys      map[string]KV
		leases    map[Lease]*memoryLease
		nextLease Lease
		watches   []*memoryWatch // in the order of their making, so that a simulation repeats itself
		away      bool
		changed   chan struct{} // closed and replaced when what can be reached changes
		loseReply int
	}
}

// memoryLease is a lease as the server sees it.
type memoryLease struct {
	ttl   time.Duration
	timer *time.Timer
	keys  map[string]struct{}
}

// NewMemory makes an empty, available store.
func NewMemory() *Memory {
	m := &Memory{RequestTimeout: 5 * time.Second}
	m.mu.rev = 1 // an empty etcd is at revision 1, too
	m.mu.keys = map[string]KV{}
	m.mu.leases = map[Lease]*memoryLease{}
	m.mu.changed = make(chan struct{})
	return m
}

// Open makes another handle on the store.
func (m *Memory) Open() *MemoryStore {
	ctx, cancel := context.WithCancel(context.Background())
	return &MemoryStore{m: m, ctx: ctx, cancel: cancel}
}

// apply runs a transaction; the lock is held.
func (m *Memory) apply(guards []Guard, ops []Op) (Revision, error) {
	for _, g := range guards {
		if m.mu.keys[g.Key].Mod != g.Mod {
			return 0, ErrConflict
		}
	}
	for _, o := range ops {
		if _, alive := m.mu.leases[o.Lease]; o.Lease != 0 && !o.Delete && !alive {
			return 0, ErrSessionLost
		}
	}
	var events []Event
	rev := m.mu.rev + 1
	for _, o := range ops {
		if e, did := m.write(rev, o); did {
			events = append(events, e)
		}
	}
	m.publish(events)
	return m.mu.rev, nil
}

// write does one operation at a revision; the lock is held.
func (m *Memory) write(rev Revision, o Op) (Event, bool) {
	old, was := m.mu.keys[o.Key]
	if old.Lease != 0 {
		delete(m.mu.leases[old.Lease].keys, o.Key)
	}
	if o.Delete {
		delete(m.mu.keys, o.Key)
		return Event{Type: EventDelete, KV: KV{Key: o.Key, Mod: rev}}, was
	}
	kv := KV{Key: o.Key, Value: slices.Clone(o.Value), Create: rev, Mod: rev, Lease: o.Lease}
	if was {
		kv.Create = old.Create
	}
	if o.Lease != 0 {
		m.mu.leases[o.Lease].keys[o.Key] = struct{}{}
	}
	m.mu.keys[o.Key] = kv
	return Event{Type: EventPut, KV: kv}, true
}

// publish ends a transaction that changed something; the lock is held.
func (m *Memory) publish(events []Event) {
	if len(events) == 0 {
		return
	}
	m.mu.rev++
	for _, w := range m.mu.watches {
		w.add(m.mu.rev, events)
	}
}

// list is the state below a prefix, in order; the lock is held.
func (m *Memory) list(prefix string) []KV {
	var kvs []KV
	for k, kv := range m.mu.keys {
		if strings.HasPrefix(k, prefix) {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs
}

// grant makes a lease; the lock is held.
func (m *Memory) grant(ttl time.Duration) Lease {
	m.mu.nextLease++
	id := m.mu.nextLease
	l := &memoryLease{ttl: ttl, keys: map[string]struct{}{}}
	l.timer = time.AfterFunc(ttl, func() { m.expire(id, l) })
	m.mu.leases[id] = l
	return id
}

// expire is the end of a lease whose time is over, unless it was renewed or the
// store went away at the same moment.
func (m *Memory) expire(id Lease, l *memoryLease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.leases[id] == l && !m.mu.away {
		m.revoke(id)
	}
}

// revoke ends a lease and deletes its keys in one revision; the lock is held.
func (m *Memory) revoke(id Lease) {
	l := m.mu.leases[id]
	if l == nil {
		return
	}
	l.timer.Stop()
	var events []Event
	for _, k := range slices.Sorted(maps.Keys(l.keys)) {
		e, _ := m.write(m.mu.rev+1, Delete(k))
		events = append(events, e)
	}
	delete(m.mu.leases, id)
	m.publish(events)
}
