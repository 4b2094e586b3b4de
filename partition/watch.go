package partition

import (
	"sync/atomic"

	"varve/internal/id"
)

// Watcher counts the bytes that can be read in the partitions it was added to,
// without reading them.
type Watcher struct {
	// C has an element once there are as many as wanted, or something happened that
	// can't be waited for: a partition closed, or its part lies in the tier.
	C    chan struct{}
	want int64
	have atomic.Int64
}

// NewWatcher makes a watcher that waits for so many bytes.
func NewWatcher(want int64) *Watcher { return &Watcher{C: make(chan struct{}, 1), want: want} }

func (w *Watcher) add(n int64) {
	if n > 0 && w.have.Add(n) >= w.want {
		w.signal()
	}
}

func (w *Watcher) signal() {
	select {
	case w.C <- struct{}{}:
	default:
	}
}

// Available says how many bytes of committed batches the local journals hold
// from offset on, counted until limit is reached. at says that there is a reason
// to answer a reader at once: the offset lies in the tier, or is an error.
func (p *Partition) Available(offset, limit int64, epoch id.Epoch) (bytes int64, at bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.available(offset, limit, epoch)
}

func (p *Partition) available(offset, limit int64, epoch id.Epoch) (bytes int64, at bool) {
	if p.checkEpoch(epoch) != nil || offset < p.mu.logStart || offset > p.mu.high {
		return 0, true
	}
	if offset == p.mu.high {
		return 0, false
	}
	refs := p.mu.tail.refs[p.mu.tail.find(offset):]
	if len(refs) == 0 || refs[0].base > offset {
		return 0, true
	}
	for i := range refs {
		if bytes += int64(refs[i].size); bytes >= limit {
			break
		}
	}
	return bytes, false
}

// Watch adds w for a reader at offset who takes at most limit bytes of this
// partition: what is there counts at once, what is committed later as it comes.
func (p *Partition) Watch(w *Watcher, offset, limit int64, epoch id.Epoch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bytes, at := p.available(offset, limit, epoch)
	if at {
		w.signal()
	}
	bytes = min(bytes, limit)
	p.mu.watchers[w] = limit - bytes
	w.add(bytes)
}

// Unwatch removes w.
func (p *Partition) Unwatch(w *Watcher) {
	p.mu.Lock()
	delete(p.mu.watchers, w)
	p.mu.Unlock()
}

// tellWatchers counts bytes that were committed.
func (p *Partition) tellWatchers(n int64) {
	for w, room := range p.mu.watchers {
		take := min(n, room)
		p.mu.watchers[w] = room - take
		w.add(take)
	}
}
