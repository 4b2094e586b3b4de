package wal

import (
	"slices"
	"sync"
	"sync/atomic"

	"varve/internal/id"
	"varve/internal/vfs"
)

// chunk is a buffer that holds a stretch of a journal file as it lies on the
// disk. Writers fill it, the disk is written from it, and readers at the tail
// share it until it is evicted.
type chunk struct {
	buf     []byte // aligned
	journal id.Journal
	file    uint32
	start   int64 // the file offset of buf[0]

	pending atomic.Int32 // entries in it that are not committed or not on disk, one more while it is filled or written
	// Guarded by cache.mu.
	filled   int64 // bytes handed to entries
	readers  int
	detached bool
}

// cache keeps the newest chunks, oldest first. Its memory is bounded by limit,
// plus what slow readers pin: at most limit/2 again.
type cache struct {
	limit     int64
	chunkSize int64

	mu struct {
		sync.Mutex
		chunks []*chunk
		bytes  int64 // of chunks
		pinned int64 // of detached chunks with readers
		free   []*chunk
	}
}

func newCache(limit, chunkSize int64) *cache {
	return &cache{limit: limit, chunkSize: chunkSize}
}

// take gives an empty chunk of at least size bytes for the file from start on,
// or nil if all the memory is waiting for the disk or a quorum. With over it may
// go beyond the limit.
func (c *cache) take(j id.Journal, file uint32, start, size int64, over bool) *chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	size = max(size, c.chunkSize)
	for c.mu.bytes+size > c.limit && c.evict() {
	}
	if c.mu.bytes+size > c.limit && len(c.mu.chunks) > 0 && !over {
		return nil
	}
	var k *chunk
	if n := len(c.mu.free); n > 0 && size == c.chunkSize {
		k, c.mu.free = c.mu.free[n-1], c.mu.free[:n-1]
	} else {
		k = &chunk{buf: vfs.Aligned(int(size))}
	}
	k.journal, k.file, k.start, k.filled, k.detached = j, file, start, 0, false
	k.pending.Store(1)
	c.mu.chunks = append(c.mu.chunks, k)
	c.mu.bytes += size
	return k
}

// evict drops the oldest chunk of which all entries are committed and on disk.
func (c *cache) evict() bool {
	i := slices.IndexFunc(c.mu.chunks, func(k *chunk) bool { return k.pending.Load() == 0 })
	if i < 0 {
		return false
	}
	k := c.mu.chunks[i]
	c.mu.chunks = slices.Delete(c.mu.chunks, i, i+1)
	c.mu.bytes -= int64(len(k.buf))
	k.detached = true
	if k.readers > 0 {
		c.mu.pinned += int64(len(k.buf))
	} else {
		c.reuse(k)
	}
	return true
}

func (c *cache) reuse(k *chunk) {
	if int64(len(k.buf)) == c.chunkSize && int64(len(c.mu.free)) < c.limit/c.chunkSize {
		c.mu.free = append(c.mu.free, k)
	}
}

// grow notes that the chunk is filled up to n, so that readers may find it.
func (c *cache) grow(k *chunk, n int64) {
	c.mu.Lock()
	k.filled = n
	c.mu.Unlock()
}

// View is a stretch of a journal in memory. It must be released.
type View struct {
	Bytes []byte
	k     *chunk
	c     *cache
}

// Release gives the memory back; Bytes must not be used any more.
func (v *View) Release() {
	if v.k == nil {
		return
	}
	c, k := v.c, v.k
	v.k, v.Bytes = nil, nil
	c.mu.Lock()
	k.readers--
	if k.detached && k.readers == 0 {
		c.mu.pinned -= int64(len(k.buf))
		c.reuse(k)
	}
	c.mu.Unlock()
}

// find gives the chunk that holds n bytes from pos on.
func (c *cache) find(j id.Journal, pos Pos, n int) *chunk {
	for i := len(c.mu.chunks) - 1; i >= 0; i-- {
		k := c.mu.chunks[i]
		at := pos.off() - k.start
		if k.journal == j && k.file == pos.file() && at >= 0 && at+int64(n) <= k.filled {
			return k
		}
	}
	return nil
}

// rest pins what the chunk that holds pos has been filled with from there on, if it
// is at least a block.
func (c *cache) rest(j id.Journal, pos Pos) (View, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.find(j, pos, blockBytes)
	if k == nil || c.mu.pinned >= c.limit/2 {
		return View{}, false
	}
	k.readers++
	at := pos.off() - k.start
	return View{k.buf[at:k.filled:k.filled], k, c}, true
}

// has says whether the byte at pos is here.
func (c *cache) has(j id.Journal, pos Pos) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(j, pos, 1) != nil
}

// view pins n committed bytes from pos on, unless they are not here or slow
// readers pin too much already.
func (c *cache) view(j id.Journal, pos Pos, n int) (View, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.find(j, pos, n)
	if k == nil || c.mu.pinned >= c.limit/2 {
		return View{}, false
	}
	k.readers++
	at := pos.off() - k.start
	return View{k.buf[at : at+int64(n) : at+int64(n)], k, c}, true
}

// read copies len(p) committed bytes from pos on, if they are here.
func (c *cache) read(j id.Journal, p []byte, pos Pos) bool {
	c.mu.Lock()
	k := c.find(j, pos, len(p))
	if k != nil {
		k.readers++
	}
	c.mu.Unlock()
	if k == nil {
		return false
	}
	copy(p, k.buf[pos.off()-k.start:])
	v := View{nil, k, c}
	v.Release()
	return true
}
