package wal

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"varve/internal/id"
	"varve/internal/offheap"
	"varve/internal/vfs"
)

// chunk is a buffer that holds a part of a journal file as it is on the disk. Writers
// fill it, the disk is written from it, and readers at the tail share it until it is
// evicted.
type chunk struct {
	mem   *offheap.Buffer
	buf   []byte // mem's
	at    fileOf
	start int64 // the file offset of buf[0]

	pending atomic.Int32 // entries in it that are not committed or not on disk, one more while it is filled or written
	// Guarded by cache.mu.
	filled   int64 // bytes handed to entries
	readers  int
	detached bool      // evicted; its readers still hold it
	used     time.Time // when it was last taken or read, or given back
}

func (k *chunk) size() int64 { return int64(len(k.buf)) }

// fileOf names a journal's file.
type fileOf struct {
	journal id.Journal
	num     uint32
}

// cache keeps the newest chunks. Its memory is outside the Go heap and is at most limit,
// but for chunks that are taken over the limit on purpose. Readers hold at most half of it,
// so that writers always have the other half.
type cache struct {
	chunkSize int64
	clock     func() time.Time
	preparing sync.WaitGroup

	mu struct {
		sync.Mutex
		limit    int64
		chunks   []*chunk            // oldest first
		files    map[fileOf][]*chunk // the same by file
		free     []*chunk            // of chunkSize, the last one given back at the end
		bytes    int64               // of chunks
		idle     int64               // of free
		pinned   int64               // of detached chunks
		prepares bool                // a chunk is being prepared
		held     int64               // of chunks that have readers, detached or not
	}
}

func newCache(limit, chunkSize int64, clock func() time.Time) *cache {
	c := &cache{chunkSize: chunkSize, clock: clock}
	c.mu.limit, c.mu.files = limit, map[fileOf][]*chunk{}
	return c
}

// take returns an empty chunk of at least size bytes for the file from start on,
// or nil if all the memory is waiting for the disk or a quorum. With over it may
// go beyond the limit.
func (c *cache) take(j id.Journal, file uint32, start, size int64, over bool) *chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	size = max(size, c.chunkSize)
	if !c.makeRoom(size) && len(c.mu.chunks) > 0 && !over {
		return nil
	}
	k := c.empty(size)
	k.at, k.start, k.filled, k.detached, k.used = fileOf{j, file}, start, 0, false, c.clock()
	k.pending.Store(1)
	c.mu.chunks = append(c.mu.chunks, k)
	c.mu.files[k.at] = append(c.mu.files[k.at], k)
	c.mu.bytes += size
	if len(c.mu.free) == 0 && c.chunkSize >= prepareFrom && !c.mu.prepares && c.grows() {
		c.mu.prepares = true
		c.preparing.Go(c.prepare)
	}
	return k
}

// grows reports whether another chunk fits; the lock is held.
func (c *cache) grows() bool {
	return c.mu.bytes+c.mu.pinned+c.mu.idle+c.chunkSize <= c.mu.limit
}

// makeRoom evicts until size more bytes fit. It reports whether they do.
func (c *cache) makeRoom(size int64) bool {
	fits := func() bool { return c.mu.bytes+c.mu.pinned+size <= c.mu.limit }
	for !fits() && c.evict() {
	}
	return fits()
}

// empty returns a chunk out of the free ones, or a new one.
func (c *cache) empty(size int64) *chunk {
	if n := len(c.mu.free); n > 0 && size == c.chunkSize {
		k := c.mu.free[n-1]
		c.mu.free = c.mu.free[:n-1]
		c.mu.idle -= size
		return k
	}
	for len(c.mu.free) > 0 && c.mu.bytes+c.mu.pinned+c.mu.idle+size > c.mu.limit {
		c.dropFree().Free()
	}
	mem := offheap.New(int(size))
	return &chunk{mem: mem, buf: mem.Bytes()}
}

// prepareFrom is the size of chunks from which on they are prepared.
const prepareFrom = 1 << 20

// prepare adds a free chunk whose pages were written, in the background. The system zeroes
// a page at its first write, which can take longer than filling it; a producer would wait
// for that.
func (c *cache) prepare() {
	mem := offheap.New(int(c.chunkSize))
	for b := mem.Bytes(); len(b) > 0; b = b[min(len(b), vfs.BlockBytes):] {
		b[0] = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.prepares = false
	if !c.grows() { // it was filled or closed meanwhile
		mem.Free()
		return
	}
	c.mu.free = append(c.mu.free, &chunk{mem: mem, buf: mem.Bytes(), used: c.clock()})
	c.mu.idle += c.chunkSize
}

// evict drops the oldest chunk of which all entries are committed and on disk, one without
// readers if there is one: what readers hold frees no memory.
func (c *cache) evict() bool {
	i := slices.IndexFunc(c.mu.chunks, func(k *chunk) bool { return k.pending.Load() == 0 && k.readers == 0 })
	if i < 0 {
		i = slices.IndexFunc(c.mu.chunks, func(k *chunk) bool { return k.pending.Load() == 0 })
	}
	if i < 0 {
		return false
	}
	c.remove(i)
	return true
}

// remove takes a chunk out of the cache.
func (c *cache) remove(i int) {
	k := c.mu.chunks[i]
	c.mu.chunks = slices.Delete(c.mu.chunks, i, i+1)
	c.mu.bytes -= k.size()
	in := c.mu.files[k.at]
	at := slices.Index(in, k)
	if in = slices.Delete(in, at, at+1); len(in) == 0 {
		delete(c.mu.files, k.at)
	} else {
		c.mu.files[k.at] = in
	}
	k.detached = true
	switch {
	case k.readers > 0:
		c.mu.pinned += k.size()
	case k.pending.Load() == 0:
		c.giveBack(k)
	}
}

// giveBack keeps a chunk that no one refers to for the next use, or frees it.
func (c *cache) giveBack(k *chunk) {
	if k.size() == c.chunkSize && c.grows() {
		k.used = c.clock()
		c.mu.free = append(c.mu.free, k)
		c.mu.idle += c.chunkSize
		return
	}
	k.mem.Free()
}

// dropFree takes out the chunk that has been free for longest.
func (c *cache) dropFree() *offheap.Buffer {
	k := c.mu.free[0]
	c.mu.free = slices.Delete(c.mu.free, 0, 1)
	c.mu.idle -= k.size()
	return k.mem
}

// Memory that wasn't used for this long goes back to the system.
const (
	unusedAfter = 40 * time.Second // of records
	unfilled    = 5 * time.Second  // of free chunks
)

// memory returns how many bytes are mapped, or lent to readers.
func (c *cache) memory() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.bytes + c.mu.pinned + c.mu.idle
}

// resize sets the limit. What waits for the disk or is read goes later.
func (c *cache) resize(limit int64) {
	for _, mem := range c.shrunk(limit) {
		mem.Free()
	}
}

// shrunk sets the limit, evicts what is beyond it, and takes out what is free.
func (c *cache) shrunk(limit int64) (all []*offheap.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.limit == 0 {
		return nil // closed
	}
	c.mu.limit = limit
	c.makeRoom(0)
	for len(c.mu.free) > 0 && c.mu.bytes+c.mu.pinned+c.mu.idle > limit {
		all = append(all, c.dropFree())
	}
	return all
}

// tidy frees what was not used for a while. It unmaps without the lock: a second's worth of
// chunks takes milliseconds.
func (c *cache) tidy() {
	for _, mem := range c.unused() {
		mem.Free()
	}
}

// unused evicts what was not used for a while, and takes out what has been free for a while.
func (c *cache) unused() (all []*offheap.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	for i := 0; i < len(c.mu.chunks); {
		if k := c.mu.chunks[i]; k.pending.Load() == 0 && k.readers == 0 && now.Sub(k.used) >= unusedAfter {
			c.remove(i)
		} else {
			i++
		}
	}
	for len(c.mu.free) > 0 && now.Sub(c.mu.free[0].used) >= unfilled {
		all = append(all, c.dropFree())
	}
	return all
}

// close frees what has no readers; the last reader of each other chunk frees it. Chunks of
// entries that were never settled are left to the collector: a writer that was cut off may
// still hold them.
func (c *cache) close() {
	defer c.preparing.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.limit = 0
	for len(c.mu.chunks) > 0 {
		c.remove(len(c.mu.chunks) - 1)
	}
	for len(c.mu.free) > 0 {
		c.dropFree().Free()
	}
}

// grow notes that the chunk is filled up to n, so that readers may find it.
func (c *cache) grow(k *chunk, n int64) {
	c.mu.Lock()
	k.filled = n
	c.mu.Unlock()
}

// View is a part of a journal in memory. It must be released.
type View struct {
	Bytes []byte
	k     *chunk
	c     *cache
}

// Release returns the memory; Bytes must not be used any more.
func (v *View) Release() {
	if v.k == nil {
		return
	}
	c, k := v.c, v.k
	v.k, v.Bytes = nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.readers--; k.readers > 0 {
		return
	}
	c.mu.held -= k.size()
	if k.detached {
		c.mu.pinned -= k.size()
		if k.pending.Load() == 0 {
			c.giveBack(k)
		}
	}
}

// find returns the chunk that holds n bytes from pos on.
func (c *cache) find(j id.Journal, pos Pos, n int) *chunk {
	in := c.mu.files[fileOf{j, pos.file()}]
	for i := len(in) - 1; i >= 0; i-- {
		if at := pos.off() - in[i].start; at >= 0 && at+int64(n) <= in[i].filled {
			return in[i]
		}
	}
	return nil
}

// pin finds the chunk that holds n bytes from pos on, and keeps it for a reader: unless
// readers hold too much already, or, if always, in any case. It also returns up to where
// the chunk is filled.
func (c *cache) pin(j id.Journal, pos Pos, n int, always bool) (k *chunk, filled int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k = c.find(j, pos, n); k == nil {
		return nil, 0
	}
	if k.readers == 0 {
		if c.mu.held+k.size() > c.mu.limit/2 && !always {
			return nil, 0
		}
		c.mu.held += k.size()
	}
	k.readers++
	k.used = c.clock()
	return k, k.filled
}

// rest pins what the chunk that holds pos has been filled with from there on, if it
// is at least a block.
func (c *cache) rest(j id.Journal, pos Pos) (View, bool) {
	k, filled := c.pin(j, pos, blockBytes, false)
	if k == nil {
		return View{}, false
	}
	return View{k.buf[pos.off()-k.start : filled : filled], k, c}, true
}

// has reports whether the byte at pos is here.
func (c *cache) has(j id.Journal, pos Pos) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(j, pos, 1) != nil
}

// view pins n committed bytes from pos on, unless they are not here or readers hold too
// much already.
func (c *cache) view(j id.Journal, pos Pos, n int) (View, bool) {
	k, _ := c.pin(j, pos, n, false)
	if k == nil {
		return View{}, false
	}
	at := pos.off() - k.start
	return View{k.buf[at : at+int64(n) : at+int64(n)], k, c}, true
}

// read copies len(p) committed bytes from pos on, if they are here. It doesn't depend on
// other readers: what is committed by others may not be on this disk yet.
func (c *cache) read(j id.Journal, p []byte, pos Pos) bool {
	k, _ := c.pin(j, pos, len(p), true)
	if k == nil {
		return false
	}
	copy(p, k.buf[pos.off()-k.start:])
	v := View{nil, k, c}
	v.Release()
	return true
}
