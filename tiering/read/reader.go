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

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
)

// Reader reads what is in the tier. It has a budget of its own: memory, requests
// and rate, so that replay doesn't disturb producers. One serves a whole agent.
type Reader struct {
	cfg     Config
	store   s3store.Store
	metrics *metrics
	parts   *parts
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
	r.metrics = newMetrics(reg, r)
	r.parts = newParts(r.ctx, store, &r.cfg, r.metrics, start)
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
	r.parts.close()
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

// Memory returns how many bytes reads hold, and how many their indexes.
func (r *Reader) Memory() (data, meta int64) { return r.parts.memory.inUse(), r.parts.meta.cost() }

// Page returns a page of a partition's manifest. It implements manifest.Pages.
func (r *Reader) Page(ctx context.Context, p id.Partition, at schema.Page) (*manifest.Page, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	return r.parts.page(ctx, p, at)
}
