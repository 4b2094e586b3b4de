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

// stretches reads files by stretches into a cache of their own. A stretch is
// loaded when it is touched for the second time, or when its predecessor is
// here: a single small read elsewhere costs only itself.
type stretches struct {
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

func newStretches(js *journals, limit int64) *stretches {
	st := &stretches{journals: js, cache: newCache(limit, stretchBytes, time.Now)}
	st.mu.loading = map[stretch]chan struct{}{}
	st.mu.touched = map[stretch]struct{}{}
	return st
}

func stretchOf(j id.Journal, pos Pos) stretch {
	return stretch{j, pos.file(), pos.off() / stretchBytes}
}

// view pins n bytes from pos on, which are a part of whole that are read, loading
// what is worth it. What is in two stretches is not served here.
func (st *stretches) view(j id.Journal, pos Pos, n, whole int) (View, bool) {
	at := stretchOf(j, pos)
	if pos.off()+int64(n) > at.start()+stretchBytes {
		return View{}, false
	}
	v, ok := st.cache.view(j, pos, n)
	if !ok && st.touch(at, whole) {
		st.load(at)
		v, ok = st.cache.view(j, pos, n)
	}
	switch {
	case !ok:
	case at.index > 0 && st.cache.has(j, makePos(at.file, at.start()-stretchBytes)): // a reader that goes on
		st.ahead(at, 1)
		st.ahead(at, 2)
	case pos.off()+int64(n) > at.start()+stretchBytes/2:
		st.ahead(at, 1)
	}
	return v, ok
}

// copy fills p from pos on, out of as many stretches as it takes.
func (st *stretches) copy(j id.Journal, p []byte, pos Pos) bool {
	for whole := len(p); len(p) > 0; {
		n := min(len(p), int(stretchBytes-pos.off()%stretchBytes))
		v, ok := st.view(j, pos, n, whole)
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
func (st *stretches) touch(at stretch, n int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if n >= stretchBytes/32 {
		return true
	}
	if _, again := st.mu.touched[at]; again {
		return true
	}
	if len(st.mu.order) >= maxTouched {
		delete(st.mu.touched, st.mu.order[0])
		st.mu.order = append(st.mu.order[:0], st.mu.order[1:]...)
	}
	st.mu.touched[at] = struct{}{}
	st.mu.order = append(st.mu.order, at)
	return false
}

// load reads a stretch, or waits for the reader that does. It may fail: then readers go to
// the file, and meet the reason there.
func (st *stretches) load(at stretch) {
	st.mu.Lock()
	if busy := st.mu.loading[at]; busy != nil {
		st.mu.Unlock()
		<-busy
		return
	}
	busy := make(chan struct{})
	st.mu.loading[at] = busy
	st.mu.Unlock()
	st.read(at)
	st.mu.Lock()
	delete(st.mu.loading, at)
	st.mu.Unlock()
	close(busy)
}

func (st *stretches) read(at stretch) {
	if st.cache.has(at.journal, makePos(at.file, at.start())) {
		return
	}
	f := st.journals.file(at.journal, at.file)
	if f == nil {
		return
	}
	n := min(stretchBytes, f.size-at.start())
	if n <= 0 || at.start()+n > f.written() {
		return // not all of it is committed yet
	}
	k := st.cache.take(at.journal, at.file, at.start(), stretchBytes, false)
	if k == nil {
		return
	}
	if f.readDirect(k.buf[:n], at.start()) == nil {
		st.cache.grow(k, n)
	}
	k.pending.Add(-1)
}

// ahead loads a stretch after at in the background.
func (st *stretches) ahead(at stretch, by int64) {
	next := stretch{at.journal, at.file, at.index + by}
	st.mu.Lock()
	busy := st.mu.loading[next] != nil
	st.mu.Unlock()
	if busy || st.cache.has(next.journal, makePos(next.file, next.start())) {
		return
	}
	st.done.Add(1)
	go func() {
		defer st.done.Done()
		st.load(next)
	}()
}
