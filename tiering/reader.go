package tiering

import (
	"context"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"varve/s3store"
)

// Reader reads what is in the tier. It has a budget of its own: memory, requests
// and rate, so that replay doesn't disturb producers. One serves a whole agent.
type Reader struct {
	cfg     ReaderConfig
	store   s3store.Store
	metrics *readMetrics
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

// NewReader makes a reader; Close ends it. The store stays the caller's. It panics
// on a config that Validate refuses.
func NewReader(store s3store.Store, cfg ReaderConfig, reg prometheus.Registerer) *Reader {
	if err := cfg.Validate(); err != nil {
		panic("tiering: reader config: " + err.Error())
	}
	r := &Reader{cfg: cfg, store: store}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	start := func(f func()) { r.wg.Go(f) }
	r.memory = newMemory(cfg.MemoryBytes, cfg.ChunkBytes)
	r.metrics = newReadMetrics(reg, r)
	r.fetch = newFetcher(store, &r.cfg, r.memory, start)
	r.fetch.metrics = r.metrics
	// A quarter of the memory is never cached, so that who waits for room gets it
	// by what others release, without anybody having to make room for them.
	r.chunks = newCache(r.ctx, cfg.MemoryBytes/4*3, start, (*buffer).retain, func(b *buffer) { b.drop() }, r.metrics.looked)
	r.memory.evict = r.chunks.evict
	r.meta = newCache(r.ctx, cfg.MetaBytes, start, func(any) {}, func(any) {}, r.metrics.looked)
	r.unzip = newUnzip()
	r.streams.init()
	return r
}

func newUnzip() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlockBytes), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		panic(err) // only options that are wrong
	}
	return d
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
		return ErrReaderClosed
	}
	r.wg.Add(1)
	return nil
}

func (r *Reader) leave() { r.wg.Done() }
