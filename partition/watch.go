package partition

import (
	"sync/atomic"

	"varve/internal/notify"
)

// Watcher counts the bytes that can be read in the partitions it was added to,
// without reading them.
type Watcher struct {
	// C has an element once there are as many as asked for, or something happened that
	// can't be waited for: a partition closed, or its part is in the tier.
	C    notify.Signal
	want int64
	have atomic.Int64
}

// NewWatcher makes a watcher that waits for so many bytes.
func NewWatcher(want int64) *Watcher { return &Watcher{C: notify.NewSignal(), want: want} }

func (w *Watcher) add(n int64) {
	if n > 0 && w.have.Add(n) >= w.want {
		w.C.Set()
	}
}

// Available returns how many bytes of committed batches the local journals hold for a reader,
// counted until its limit is reached. now reports a reason to answer it at once:
// the offset is in the tier, or is an error.
func (rd *Reader) Available(r Reading) (bytes int64, now bool) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.mu.log.available(&r)
}

// Watch adds w for a reader that takes at most its limit of this partition: what is there
// counts at once, what is committed later as it comes.
func (rd *Reader) Watch(w *Watcher, r Reading) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	bytes, now := rd.mu.log.available(&r)
	if now {
		w.C.Set()
	}
	limit := int64(r.Limit)
	bytes = min(bytes, limit)
	rd.mu.watchers[w] = limit - bytes
	w.add(bytes)
}

// Unwatch removes w.
func (rd *Reader) Unwatch(w *Watcher) {
	rd.mu.Lock()
	delete(rd.mu.watchers, w)
	rd.mu.Unlock()
}

// watchers are those of a partition, each with how many bytes more it takes of it.
type watchers map[*Watcher]int64

// tell counts bytes that were committed.
func (ws watchers) tell(n int64) {
	for w, room := range ws {
		take := min(n, room)
		ws[w] = room - take
		w.add(take)
	}
}

// wake signals all of them.
func (ws watchers) wake() {
	for w := range ws {
		w.C.Set()
	}
}
