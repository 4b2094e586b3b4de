package wal

import (
	"sync"
	"time"

	"varve/internal/id"
)

// stretchBytes is how much is read from a file at a time for readers that lag:
// consumers of different partitions follow each other through the same bytes.
const stretchBytes = 2 << 20

// stretch names an aligned part of a journal file.
type stretch struct {
	journal id.Journal
	file    uint32
	index   int64
}

func (s stretch) start() int64 { return s.index * stretchBytes }

// readCache reads files by stretches into a cache of their own. A stretch is
// loaded when it is touched for the second time, or when its predecessor is
// here: a single small read elsewhere costs only itself.
type readCache struct {
	journals *journals
	cache    *cache

	mu struct {
		sync.Mutex
		loading map[stretch]chan struct{}
		touched map[stretch]struct{} // once, recently
		order   []stretch            // of touched, oldest first
	}
	done sync.WaitGroup
}

// maxTouched is how many stretches are remembered as touched once.
const maxTouched = 256

func newReadCache(js *journals, limit int64) *readCache {
	r := &readCache{journals: js, cache: newCache(limit, stretchBytes, time.Now)}
	r.mu.loading = map[stretch]chan struct{}{}
	r.mu.touched = map[stretch]struct{}{}
	return r
}

func stretchOf(j id.Journal, pos Pos) stretch {
	return stretch{j, pos.file(), pos.off() / stretchBytes}
}

// view pins n bytes from pos on, which are a part of whole that are read, loading
// what is worth it. What is in two stretches is not served here.
func (r *readCache) view(j id.Journal, pos Pos, n, whole int) (View, bool) {
	at := stretchOf(j, pos)
	if pos.off()+int64(n) > at.start()+stretchBytes {
		return View{}, false
	}
	v, ok := r.cache.view(j, pos, n)
	if !ok && r.touch(at, whole) {
		r.load(at)
		v, ok = r.cache.view(j, pos, n)
	}
	switch {
	case !ok:
	case at.index > 0 && r.cache.has(j, makePos(at.file, at.start()-stretchBytes)): // a reader that continues
		r.ahead(at, 1)
		r.ahead(at, 2)
	case pos.off()+int64(n) > at.start()+stretchBytes/2:
		r.ahead(at, 1)
	}
	return v, ok
}

// copy fills p from pos on, out of as many stretches as it takes.
func (r *readCache) copy(j id.Journal, p []byte, pos Pos) bool {
	for whole := len(p); len(p) > 0; {
		n := min(len(p), int(stretchBytes-pos.off()%stretchBytes))
		v, ok := r.view(j, pos, n, whole)
		if !ok {
			return false
		}
		copy(p, v.Bytes)
		v.Release()
		p, pos = p[n:], pos+Pos(n)
	}
	return true
}

// touch notes an access and reports whether the stretch is worth loading.
func (r *readCache) touch(at stretch, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n >= stretchBytes/32 {
		return true
	}
	if _, again := r.mu.touched[at]; again {
		return true
	}
	if len(r.mu.order) >= maxTouched {
		delete(r.mu.touched, r.mu.order[0])
		r.mu.order = append(r.mu.order[:0], r.mu.order[1:]...)
	}
	r.mu.touched[at] = struct{}{}
	r.mu.order = append(r.mu.order, at)
	return false
}

// load reads a stretch, or waits for the reader that does. It may fail: then readers go to
// the file, and meet the reason there.
func (r *readCache) load(at stretch) {
	r.mu.Lock()
	if busy := r.mu.loading[at]; busy != nil {
		r.mu.Unlock()
		<-busy
		return
	}
	busy := make(chan struct{})
	r.mu.loading[at] = busy
	r.mu.Unlock()
	r.read(at)
	r.mu.Lock()
	delete(r.mu.loading, at)
	r.mu.Unlock()
	close(busy)
}

func (r *readCache) read(at stretch) {
	if r.cache.has(at.journal, makePos(at.file, at.start())) {
		return
	}
	f := r.journals.file(at.journal, at.file)
	if f == nil {
		return
	}
	n := min(stretchBytes, f.size-at.start())
	if n <= 0 || at.start()+n > f.written() {
		return // not all of it is committed yet
	}
	k := r.cache.take(at.journal, at.file, at.start(), stretchBytes, false)
	if k == nil {
		return
	}
	if f.readDirect(k.buf[:n], at.start()) == nil {
		r.cache.grow(k, n)
	}
	k.pending.Add(-1)
}

// ahead loads a stretch after at in the background.
func (r *readCache) ahead(at stretch, by int64) {
	next := stretch{at.journal, at.file, at.index + by}
	r.mu.Lock()
	busy := r.mu.loading[next] != nil
	r.mu.Unlock()
	if busy || r.cache.has(next.journal, makePos(next.file, next.start())) {
		return
	}
	r.done.Add(1)
	go func() {
		defer r.done.Done()
		r.load(next)
	}()
}
