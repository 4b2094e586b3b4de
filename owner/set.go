package owner

import (
	"context"
	"maps"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/internal/notify"
	"varve/partition"
)

// Set is the partitions that this agent serves.
type Set struct {
	mu sync.RWMutex
	by map[id.Partition]*partition.Partition
	// retiring are those of deleted topics that are being uploaded.
	retiring map[id.Partition]bool
	// done are those that were: opened again only if their topic is brought back.
	done   map[id.Partition]bool
	opened notify.Broadcast // when a partition is put
}

// NewSet makes an empty set.
func NewSet() *Set {
	return &Set{by: map[id.Partition]*partition.Partition{}, retiring: map[id.Partition]bool{}, done: map[id.Partition]bool{}}
}

// Get returns a partition, or nil.
func (s *Set) Get(p id.Partition) *partition.Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.by[p]
}

// Put adds a partition that is served from now on.
func (s *Set) Put(p *partition.Partition) {
	s.mu.Lock()
	s.by[p.ID()] = p
	s.mu.Unlock()
	s.opened.Send()
}

// Changed returns a channel that is closed when the next partition is put.
func (s *Set) Changed() <-chan struct{} { return s.opened.Next() }

// Await reports whether all of some partitions are served. It waits for those that are not, until
// changed is closed, or ctx ends.
func (s *Set) Await(ctx context.Context, changed <-chan struct{}, all []id.Partition) bool {
	for {
		opened := s.Changed()
		for len(all) > 0 && s.Get(all[len(all)-1]) != nil {
			all = all[:len(all)-1]
		}
		if len(all) == 0 {
			return true
		}
		select {
		case <-opened:
		case <-changed:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// Remove takes a partition out, and returns it, or nil.
func (s *Set) Remove(p id.Partition) *partition.Partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.by[p]
	delete(s.by, p)
	delete(s.retiring, p)
	return was
}

// retired ends a partition that was marked by retire, unless it was lost meanwhile.
func (s *Set) retired(p *partition.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[p.ID()] == p {
		delete(s.by, p.ID())
		delete(s.retiring, p.ID())
		s.done[p.ID()] = true
	}
}

// skip notes that a partition of a deleted topic needn't be opened.
func (s *Set) skip(p id.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[p] = true
}

// keep takes back what retire marked.
func (s *Set) keep(p *partition.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[p.ID()] == p {
		delete(s.retiring, p.ID())
	}
}

// Retired reports whether a partition of a deleted topic was uploaded and closed. It is
// opened again when its topic exists again, by exists.
func (s *Set) Retired(p id.Partition, exists bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if exists {
		delete(s.done, p)
	}
	return s.done[p]
}

// retire marks a partition as one that ends; false if it was marked before.
func (s *Set) retire(p *partition.Partition) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retiring[p.ID()] {
		return false
	}
	s.retiring[p.ID()] = true
	return true
}

// All returns the partitions, in any order.
func (s *Set) All() []*partition.Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.by))
}

// Len counts the partitions.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.by)
}

// Retiring reports whether a partition of a deleted topic is being uploaded to be closed.
func (s *Set) Retiring(p id.Partition) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.retiring[p]
}

// Lose ends a partition that has another owner. Another one under its id stays.
func (s *Set) Lose(p *partition.Partition) {
	if s.Get(p.ID()) == p {
		s.Remove(p.ID())
	}
	p.Close()
}
