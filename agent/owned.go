package agent

import (
	"maps"
	"slices"
	"sync"

	"varve/internal/id"
	"varve/partition"
)

// owned are the partitions that this agent serves.
type owned struct {
	mu sync.RWMutex
	by map[id.Partition]*partition.Partition
	// retiring are those of deleted topics that are being uploaded.
	retiring map[id.Partition]bool
	// done are those that were: opened again only if their topic is brought back.
	done map[id.Partition]bool
	// opened is closed and replaced when a partition is put.
	opened chan struct{}
}

func newOwned() *owned {
	return &owned{by: map[id.Partition]*partition.Partition{}, retiring: map[id.Partition]bool{}, done: map[id.Partition]bool{}, opened: make(chan struct{})}
}

// Get returns a partition, or nil.
func (o *owned) Get(p id.Partition) *partition.Partition {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.by[p]
}

func (o *owned) put(p *partition.Partition) {
	o.mu.Lock()
	o.by[p.ID()] = p
	close(o.opened)
	o.opened = make(chan struct{})
	o.mu.Unlock()
}

// Changed returns a channel that is closed when the next partition is put.
func (o *owned) Changed() <-chan struct{} {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.opened
}

func (o *owned) remove(p id.Partition) *partition.Partition {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.by[p]
	delete(o.by, p)
	delete(o.retiring, p)
	return was
}

// retired ends a partition that was marked by retire, unless it was lost meanwhile.
func (o *owned) retired(p *partition.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by[p.ID()] == p {
		delete(o.by, p.ID())
		delete(o.retiring, p.ID())
		o.done[p.ID()] = true
	}
}

// skip notes that a partition of a deleted topic needn't be opened.
func (o *owned) skip(p id.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done[p] = true
}

// keep takes back what retire marked.
func (o *owned) keep(p *partition.Partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by[p.ID()] == p {
		delete(o.retiring, p.ID())
	}
}

// wasRetired reports whether a partition was retired; no more once its topic exists
// again.
func (o *owned) wasRetired(p id.Partition, exists bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if exists {
		delete(o.done, p)
	}
	return o.done[p]
}

// retire marks a partition as one that ends; false if it was marked before.
func (o *owned) retire(p *partition.Partition) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retiring[p.ID()] {
		return false
	}
	o.retiring[p.ID()] = true
	return true
}

func (o *owned) all() []*partition.Partition {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Collect(maps.Values(o.by))
}

func (o *owned) len() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.by)
}
