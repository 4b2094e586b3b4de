package partition

// Watcher hears of new committed records in the partitions it was added to.
type Watcher struct {
	// C has an element when something may have changed since it was last taken.
	C chan struct{}
}

// NewWatcher makes a watcher.
func NewWatcher() *Watcher { return &Watcher{make(chan struct{}, 1)} }

// Watch adds w; it is signalled when the high watermark moves or the partition
// closes.
func (p *Partition) Watch(w *Watcher) {
	p.mu.Lock()
	p.mu.watchers[w] = struct{}{}
	p.mu.Unlock()
}

// Unwatch removes w.
func (p *Partition) Unwatch(w *Watcher) {
	p.mu.Lock()
	delete(p.mu.watchers, w)
	p.mu.Unlock()
}

func (p *Partition) wake() {
	for w := range p.mu.watchers {
		select {
		case w.C <- struct{}{}:
		default:
		}
	}
}
