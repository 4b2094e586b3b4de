// Package coordinator drives coordinated state machines, each known by a key: consumer
// groups, and whatever else one agent at a time has to decide. All keys are divided into
// slots, which the controller assigns to agents. An agent's coordinator loads the machines
// of its slots, feeds them requests and time, stores their values, unloads idle machines,
// and releases slots.
//
// It promises that an agent never overwrites a machine's values if it does not know the
// newest of them, or no longer owns the slot: each write is guarded by the revisions that
// were last seen, and by the slot's key. It promises that every request is
// answered while the metadata store is away, and that no machine can keep a slot from
// serving the others by waking up without end. It knows nothing of what the machines do.
package coordinator

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"varve/internal/notify"
	"varve/metadata"
)

// Slots is how many parts all keys are divided into; a slot is what an agent owns.
const Slots = 64

// SlotOf returns the slot of a key.
func SlotOf(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key)) // never fails
	return int(h.Sum32() % Slots)
}

// Reader is what of the metadata store the coordinator reads with.
type Reader interface {
	Get(ctx context.Context, key string) (metadata.KV, error)
	List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error)
}

// Writer is what it writes with; see metadata.Writer. It must wait through outages of the
// store until ctx ends.
type Writer interface {
	Write(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error)
}

// Coordinator serves the machines of the slots that this agent owns: one goroutine a slot
// owns its machines.
type Coordinator struct {
	cfg    Config
	kind   Kind
	reader Reader
	writer Writer
	log    *slog.Logger
	pace   *rate.Limiter // of bytes written
	size   atomic.Int64  // of all machines
	away   atomic.Bool   // the store doesn't answer
	used   notify.Signal // there was a request

	ctx    context.Context // of the readings of slots
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu struct {
		sync.Mutex
		slots  [Slots]*slot // nil: not owned
		closed bool
	}
}

// Open makes a coordinator that owns nothing.
func Open(cfg Config, kind Kind, reader Reader, writer Writer, log *slog.Logger) *Coordinator {
	c := &Coordinator{cfg: cfg, kind: kind, reader: reader, writer: writer, log: log, used: notify.NewSignal()}
	c.pace = rate.NewLimiter(rate.Limit(cfg.StoreBytesPerSecond), int(max(cfg.StoreBytesPerSecond, metadata.MaxTxnBytes)))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.loads.Go(c.watchStore)
	return c
}

// OwnSlots takes slots over and reads their machines; until that is done requests
// for them are ErrLoading. Slots that are owned already stay as they are. Each write
// of a slot's machines holds the slot's guard, so that an owner that was replaced
// stores nothing; a zero guard is none.
func (c *Coordinator) OwnSlots(slots map[int]metadata.Guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := map[int]*slot{}
	for n, guard := range slots {
		if c.mu.slots[n] == nil && !c.mu.closed {
			c.mu.slots[n] = newSlot(c, n, guard)
			taken[n] = c.mu.slots[n]
		}
	}
	if len(taken) > 0 {
		c.loads.Go(func() { c.load(taken) })
	}
}

// ReleaseSlot releases a slot. It stores what the slot's machines have accepted, unless
// ctx ends first, and answers pending requests with ErrNotCoordinator.
func (c *Coordinator) ReleaseSlot(ctx context.Context, n int) {
	c.mu.Lock()
	s := c.mu.slots[n]
	c.mu.slots[n] = nil
	c.mu.Unlock()
	if s != nil {
		s.close(ctx)
	}
}

// Close releases all slots, within ctx. Requests after it are ErrNotCoordinator.
func (c *Coordinator) Close(ctx context.Context) {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.cancel()
	c.loads.Wait()
	var all sync.WaitGroup
	for n := range Slots {
		all.Go(func() { c.ReleaseSlot(ctx, n) })
	}
	all.Wait()
}

// Owns reports whether the slot of a key is owned.
func (c *Coordinator) Owns(key string) bool {
	_, err := c.slot(key)
	return err == nil
}

// Size bounds what clients made all machines in memory keep, in bytes.
func (c *Coordinator) Size() int64 { return c.size.Load() }

// slot returns the owned slot of a key.
func (c *Coordinator) slot(key string) (*slot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.mu.slots[SlotOf(key)]; s != nil {
		return s, nil
	}
	return nil, ErrNotCoordinator
}

// owned returns all owned slots.
func (c *Coordinator) owned() (slots []*slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.mu.slots {
		if s != nil {
			slots = append(slots, s)
		}
	}
	return slots
}
