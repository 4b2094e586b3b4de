package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"varve/internal/chance"
)

// WriterConfig bounds a Writer.
type WriterConfig struct {
	// MaxOps is how many writes, and how many guards, a transaction gathers;
	// 1 to MaxTxnOps.
	MaxOps int `yaml:"max_ops"`
	// MaxBytes is how many bytes of keys and values a transaction gathers; a
	// larger group goes alone. 1 to MaxTxnBytes.
	MaxBytes int `yaml:"max_bytes"`
	// MaxInFlight is how many transactions are under way at once; 1 to 64.
	MaxInFlight int `yaml:"max_in_flight"`
	// MaxQueueGroups and MaxQueueBytes bound what is accepted and not answered
	// yet; more has to wait. At least 1, and at least MaxTxnBytes.
	MaxQueueGroups int `yaml:"max_queue_groups"`
	MaxQueueBytes  int `yaml:"max_queue_bytes"`
	// Random spreads retries; nil is the system's.
	Random *chance.Source `yaml:"-"`
}

// DefaultWriterConfig is what suits an agent.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{MaxOps: MaxTxnOps, MaxBytes: 1 << 20, MaxInFlight: 4, MaxQueueGroups: 16 << 10, MaxQueueBytes: 32 << 20}
}

// Validate names the first field that is wrong, its value, and what is allowed.
func (c WriterConfig) Validate() error {
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"max_ops", c.MaxOps, 1, MaxTxnOps},
		{"max_bytes", c.MaxBytes, 1, MaxTxnBytes},
		{"max_in_flight", c.MaxInFlight, 1, 64},
		{"max_queue_groups", c.MaxQueueGroups, 1, 1 << 20},
		{"max_queue_bytes", c.MaxQueueBytes, MaxTxnBytes, 1 << 30},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("%s: %d, allowed is %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	return nil
}

// Writer packs the writes of many callers into few transactions. There are no
// timers: while transactions are under way, what arrives forms the next, so that
// the rate of transactions depends on the store's latency only.
//
// Groups that touch a common key are applied in the order in which they came,
// each as if it were alone: no two of them are under way at once unless both
// only guard by the key.
type Writer struct {
	store   Store
	cfg     WriterConfig
	log     *slog.Logger
	metrics *writerMetrics
	room    *semaphore.Weighted // of groups
	bytes   *semaphore.Weighted

	ctx    context.Context // of the transactions; ends with a Close that gives up
	cancel context.CancelFunc
	kick   chan struct{} // holds one token when there may be something to send
	done   chan struct{} // closed when run returned

	mu struct {
		sync.Mutex
		queue    []*group          // in order of arrival
		latest   map[string]*group // queued Sets that newer values may still join
		busy     keyLocks          // keys of the transactions under way
		inFlight int
		closed   bool
	}
}

// NewWriter starts a writer on a store, which stays the caller's. It panics on
// a config that Validate refuses.
func NewWriter(store Store, cfg WriterConfig, log *slog.Logger, reg prometheus.Registerer) *Writer {
	if err := cfg.Validate(); err != nil {
		panic("metadata: writer config: " + err.Error())
	}
	w := &Writer{store: store, cfg: cfg, log: log, metrics: newWriterMetrics(reg),
		room:  semaphore.NewWeighted(int64(cfg.MaxQueueGroups)),
		bytes: semaphore.NewWeighted(int64(cfg.MaxQueueBytes)),
		kick:  make(chan struct{}, 1), done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.mu.latest = map[string]*group{}
	w.mu.busy = keyLocks{}
	go w.run()
	return w
}

// Write applies ops as one, if the guards hold, and returns the revision; it is
// Store.Txn in company. It waits while the queue is full and through outages,
// until ctx ends; a write that was under way then may or may not be applied.
// The values must not be changed before it is settled.
//
// After an outage in mid-transaction the writer can't know whether it was
// applied. It then sends the group again, and if a guard fails, looks whether
// the keys hold what it wrote; values under guard should therefore tell their
// writers apart. ErrConflict after an outage may also mean that the group was
// applied and then overwritten.
func (w *Writer) Write(ctx context.Context, guards []Guard, ops ...Op) (Revision, error) {
	if err := checkTxn(guards, ops); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	type answer struct {
		rev Revision
		err error
	}
	answered := make(chan answer, 1)
	g := newGroup(guards, ops)
	g.callers = []caller{{ctx, func(rev Revision, err error) { answered <- answer{rev, err} }}}
	if err := w.enqueue(ctx, g); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	select {
	case a := <-answered:
		return a.rev, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("write: %w", ctx.Err())
	}
}

// Set writes a key without guard. A value that was not sent yet is replaced by
// the newer one, and both callers are answered when that is stored. Set returns
// when the write is accepted, which it is not if the queue is full until ctx
// ends; then done is not called. done is called once, from a goroutine of the
// writer's, and must not wait.
func (w *Writer) Set(ctx context.Context, key string, value []byte, done func(Revision, error)) error {
	ops := []Op{Put(key, value)}
	if err := checkTxn(nil, ops); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	g := newGroup(nil, ops)
	g.set = true
	g.callers = []caller{{ctx, done}}
	if err := w.enqueue(ctx, g); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	return nil
}

// enqueue waits for room and puts the group into the queue.
func (w *Writer) enqueue(ctx context.Context, g *group) error {
	if err := w.room.Acquire(ctx, 1); err != nil {
		return err
	}
	if err := w.bytes.Acquire(ctx, int64(g.size)); err != nil {
		w.room.Release(1)
		return err
	}
	if err := w.push(g); err != nil {
		w.release(1, g.size)
		return err
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return nil
}

// push queues a group, or joins a Set with the one that waits for the same key.
func (w *Writer) push(g *group) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.closed {
		return ErrClosed
	}
	if g.set {
		if old := w.mu.latest[g.ops[0].Key]; old != nil {
			old.join(g)
			w.metrics.coalesced.Inc()
			return nil
		}
	}
	// What is queued after this group must not move before it.
	for key := range g.keys() {
		delete(w.mu.latest, key)
	}
	if g.set {
		w.mu.latest[g.ops[0].Key] = g
	}
	w.mu.queue = append(w.mu.queue, g)
	w.metrics.queued.Set(float64(len(w.mu.queue)))
	return nil
}

func (w *Writer) release(groups, bytes int) {
	w.room.Release(int64(groups))
	w.bytes.Release(int64(bytes))
}

// Close takes no more writes and returns when all that were accepted are
// answered. If ctx ends before, they are answered with ErrClosed and its error
// is returned.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.mu.closed = true
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
	defer w.cancel()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	w.cancel()
	<-w.done
	return errors.Join(errors.New("writer closed before all was written"), ctx.Err())
}
