// Package read reads the tier: batches from an offset on, searches by time and by leader
// epoch, and what to do about records that can't be read.
//
// It promises that a reader gets exactly the bytes that were produced, and that memory and
// requests don't grow with history or with the number of readers. It never changes what a
// head names, but for Skipper, which an operator has to ask for.
package read

import (
	"context"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"varve/s3store"
	"varve/tiering/object"
)

// Reader reads what is in the tier. It has a budget of its own: memory, requests
// and rate, so that replay doesn't disturb producers. One serves a whole agent.
type Reader struct {
	cfg     Config
	store   s3store.Store
	metrics *metrics
	memory  *memory
	fetch   *fetcher
	chunks  *cache[*buffer] // chunks and blocks
	meta    *cache[any]     // *Index, []Producer, *page
	unzip   *zstd.Decoder
	streams streams
	holes   holes

	ctx    context.Context // of loads and readahead
	cancel context.CancelFunc
	wg     sync.WaitGroup // of them, and of calls

	mu struct {
		sync.Mutex
		closed bool
	}
}

// New makes a reader; Close ends it. The store stays the caller's. It panics
// on a config that Validate refuses.
func New(store s3store.Store, cfg Config, reg prometheus.Registerer) *Reader {
	if err := cfg.Validate(); err != nil {
		panic("read: config: " + err.Error())
	}
	r := &Reader{cfg: cfg, store: store}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	start := func(f func()) { r.wg.Go(f) }
	r.memory = newMemory(cfg.MemoryBytes, cfg.ChunkBytes)
	r.metrics = newMetrics(reg, r)
	r.fetch = newFetcher(store, &r.cfg, r.memory, start)
	r.fetch.metrics = r.metrics
	// A quarter of the memory is never cached, so that who waits for room gets it
	// by what others release, without anybody having to make room for them.
	r.chunks = newCache(r.ctx, cfg.MemoryBytes/4*3, start, (*buffer).retain, func(b *buffer) { b.drop() }, r.metrics.looked)
	r.memory.evict = r.chunks.evict
	r.meta = newCache(r.ctx, cfg.MetaBytes, start, func(any) {}, func(any) {}, r.metrics.looked)
	r.unzip = object.NewDecompressor()
	r.streams.init()
	return r
}

// Close ends all loads and waits for them and for calls that are under way. Data
// that was given out stays good until it is released.
func (r *Reader) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	r.chunks.clear()
	r.unzip.Close()
}

// enter begins a call; it ends with leave.
func (r *Reader) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return ErrClosed
	}
	r.wg.Add(1)
	return nil
}

func (r *Reader) leave() { r.wg.Done() }
