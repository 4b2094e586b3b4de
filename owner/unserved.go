package owner

import (
	"log/slog"
	"maps"
	"sync"

	"varve/internal/id"
)

// Unserved is the partitions that this agent owns and can't serve, and why.
type Unserved struct {
	log *slog.Logger

	mu sync.Mutex
	by map[id.Partition]string
}

// NewUnserved makes an empty Unserved.
func NewUnserved(log *slog.Logger) *Unserved {
	return &Unserved{log: log, by: map[id.Partition]string{}}
}

// Note keeps the reason for a partition of the topic of that name, and logs it when it is new.
func (u *Unserved) Note(topic string, p id.Partition, why error) {
	u.mu.Lock()
	was := u.by[p]
	u.by[p] = why.Error()
	u.mu.Unlock()
	if was != why.Error() {
		u.log.Error("partition unavailable", "topic", topic, "partition", p.Index, "err", why)
	}
}

func (u *Unserved) forget(p id.Partition) {
	u.mu.Lock()
	delete(u.by, p)
	u.mu.Unlock()
}

// All returns the reasons.
func (u *Unserved) All() map[id.Partition]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.by)
}
