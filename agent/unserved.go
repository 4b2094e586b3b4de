package agent

import (
	"maps"
	"sync"

	"varve/cluster"
	"varve/internal/id"
)

// unserved are the partitions that this agent owns and can't serve, and why.
type unserved struct {
	mu sync.Mutex
	by map[id.Partition]string
}

// note keeps the reason, and logs it when it is new.
func (u *unserved) note(a *Agent, t *cluster.Topic, p id.Partition, why error) {
	u.mu.Lock()
	if u.by == nil {
		u.by = map[id.Partition]string{}
	}
	was := u.by[p]
	u.by[p] = why.Error()
	u.mu.Unlock()
	if was != why.Error() {
		a.log.Error("partition unavailable", "topic", t.Name, "partition", p.Index, "err", why)
	}
}

func (u *unserved) forget(p id.Partition) {
	u.mu.Lock()
	delete(u.by, p)
	u.mu.Unlock()
}

// keep forgets those that are not wanted here any more.
func (u *unserved) keep(wanted func(id.Partition) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.by, func(p id.Partition, _ string) bool { return !wanted(p) })
}

func (u *unserved) all() map[id.Partition]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.by)
}
