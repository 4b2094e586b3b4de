package wal

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/internal/offheap"
)

// hand is a clock that a test sets.
type hand struct{ now time.Time }

func (h *hand) time() time.Time { return h.now }

// all returns all the memory that a cache has.
func (c *cache) all() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.bytes + c.mu.idle + c.mu.pinned
}

const testChunk = 64 << 10

// fill takes a chunk for a file's start and settles it.
func (c *cache) fill(t *testing.T, j id.Journal, file uint32) *chunk {
	t.Helper()
	k := c.take(j, file, 0, testChunk, false)
	if k == nil {
		t.Fatal("no chunk")
	}
	k.buf[0] = byte(file)
	c.grow(k, testChunk)
	k.pending.Add(-1)
	return k
}

// Memory that was not used for a while goes back to the system. Chunks that are being read or
// filled stay.
func TestUnusedChunksAreFreed(t *testing.T) {
	before := offheap.Mapped()
	clock := &hand{time.Unix(1e9, 0)}
	c := newCache(8*testChunk, testChunk, clock.time)
	j := id.Journal{Writer: 1, Seq: 1}
	for n := range uint32(6) {
		c.fill(t, j, n)
	}
	filling := c.take(j, 6, 0, testChunk, false)
	v, ok := c.view(j, makePos(1, 0), 10)
	if !ok {
		t.Fatal("not here")
	}
	clock.now = clock.now.Add(unusedAfter - time.Second)
	if !c.read(j, make([]byte, 1), makePos(2, 0)) {
		t.Fatal("not here")
	}
	clock.now = clock.now.Add(time.Second)
	c.tidy()
	for n := range uint32(6) {
		if has := c.has(j, makePos(n, 0)); has != (n == 1 || n == 2) {
			t.Errorf("chunk %d is here: %v", n, has)
		}
	}
	clock.now = clock.now.Add(unfilled)
	c.tidy()
	if n := c.all(); n != 3*testChunk {
		t.Errorf("%d bytes are left", n)
	}
	v.Release()
	filling.pending.Add(-1)
	clock.now = clock.now.Add(unusedAfter)
	c.tidy()
	clock.now = clock.now.Add(unfilled)
	c.tidy()
	if n := c.all(); n != 0 {
		t.Errorf("%d bytes are left at the end", n)
	}
	if n := offheap.Mapped(); n > before { // less: what other tests left was collected
		t.Errorf("%d bytes are mapped", n-before)
	}
}

// Promise 7: a cache never exceeds its limit, and writers find room, whatever readers hold.
func TestCacheStaysWithinItsLimit(t *testing.T) {
	const limit = 8 * testChunk
	before := offheap.Mapped()
	r := rand.New(rand.NewPCG(1, 2))
	c := newCache(limit, testChunk, time.Now)
	j := id.Journal{Writer: 1, Seq: 1}
	var views []View
	refused := 0
	for n := range uint32(2000) {
		c.fill(t, j, n)
		if r.IntN(4) == 0 { // one that needs more than a chunk
			if big := c.take(j, n, 1<<20, 2*testChunk, false); big != nil {
				big.pending.Add(-1)
			}
		}
		for range 3 {
			at := n - min(n, uint32(r.IntN(10)))
			if v, ok := c.view(j, makePos(at, 0), 1); ok {
				if v.Bytes[0] != byte(at) {
					t.Fatalf("file %d has %d", at, v.Bytes[0])
				}
				views = append(views, v)
			} else if c.has(j, makePos(at, 0)) {
				refused++
				if b := []byte{0}; !c.read(j, b, makePos(at, 0)) || b[0] != byte(at) {
					t.Fatalf("file %d can't be copied: %d", at, b[0])
				}
			}
		}
		for len(views) > 30 {
			i := r.IntN(len(views))
			views[i].Release()
			views[i] = views[len(views)-1]
			views = views[:len(views)-1]
		}
		if all := c.all(); all > limit {
			t.Fatalf("%d bytes, at most %d are allowed", all, limit)
		}
	}
	if refused == 0 {
		t.Error("no reader was refused: this tests nothing")
	}
	c.close()
	for i := range views {
		views[i].Release()
	}
	if n := offheap.Mapped(); n > before || c.all() != 0 || c.mu.held != 0 {
		t.Errorf("%d bytes are mapped, %d cached, %d held", n-before, c.all(), c.mu.held)
	}
}

// A cache that is made smaller returns memory at once, except chunks that wait for the disk or
// are being read. It can grow again.
func TestCacheChangesItsSize(t *testing.T) {
	before := offheap.Mapped()
	clock := &hand{time.Unix(1e9, 0)}
	c := newCache(8*testChunk, testChunk, clock.time)
	j := id.Journal{Writer: 1, Seq: 1}
	for n := range uint32(8) {
		c.fill(t, j, n)
	}
	v, ok := c.view(j, makePos(0, 0), 10)
	if !ok {
		t.Fatal("not here")
	}
	c.resize(3 * testChunk)
	if c.all() > 3*testChunk || !c.has(j, makePos(7, 0)) {
		t.Errorf("%d bytes are left of %d", c.all(), 3*testChunk)
	}
	c.resize(8 * testChunk)
	for n := range uint32(20) {
		c.fill(t, j, 10+n)
	}
	if c.all() > 8*testChunk || c.all() < 7*testChunk {
		t.Errorf("%d bytes are used of %d", c.all(), 8*testChunk)
	}
	v.Release()
	c.close()
	c.resize(8 * testChunk) // does nothing any more
	if c.mu.limit != 0 {
		t.Error("a closed cache grows")
	}
	if n := offheap.Mapped(); n != before {
		t.Errorf("%d bytes are left", n-before)
	}
}

// A cache that may grow keeps a chunk ready for the next take, whose memory was written to.
// The chunk counts towards the limit. It is freed on close, or when it isn't used.
func TestCachePreparesChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := offheap.Mapped()
		j := id.Journal{Writer: 1, Seq: 1}
		c := newCache(3*prepareFrom, prepareFrom, time.Now)
		for n, ready := range []int{1, 1, 0} {
			if c.take(j, 1, int64(n)*prepareFrom, 1, false) == nil {
				t.Fatal("no chunk")
			}
			synctest.Wait()
			if len(c.mu.free) != ready || c.mu.idle != int64(ready)*prepareFrom || c.memory() > 3*prepareFrom {
				t.Fatalf("after take %d: %d ready, %d idle, %d in all", n+1, len(c.mu.free), c.mu.idle, c.memory())
			}
		}
		for _, k := range c.mu.chunks {
			k.pending.Store(0)
		}
		c.close()
		if n := offheap.Mapped(); n > before {
			t.Errorf("%d bytes are still mapped", n-before)
		}

		c = newCache(3*prepareFrom, prepareFrom, time.Now)
		c.take(j, 1, 0, 1, false)
		synctest.Wait()
		time.Sleep(unfilled) // fake
		c.tidy()
		if len(c.mu.free) != 0 {
			t.Error("what isn't used is kept")
		}
		c.take(j, 1, prepareFrom, 1, false)
		for _, k := range c.mu.chunks {
			k.pending.Store(0)
		}
		c.close() // while it prepares
		if n := offheap.Mapped(); n > before {
			t.Errorf("%d bytes are still mapped", n-before)
		}
	})
}
