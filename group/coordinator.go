package group

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
)

// Slots is how many parts all groups are divided into; a slot is what an agent
// owns.
const Slots = 64

// SlotOf is the slot of a group.
func SlotOf(group string) int {
	h := fnv.New32a()
	h.Write([]byte(group)) // never fails
	return int(h.Sum32() % Slots)
}

// Reader is what of the metadata store the coordinator reads with.
type Reader interface {
	Get(ctx context.Context, key string) (metadata.KV, error)
	List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error)
}

// Topics knows which topic bears a name.
type Topics interface {
	// IsTopic says whether the topic of that name is this one.
	IsTopic(ctx context.Context, name string, t id.Topic) (bool, error)
}

// Writer is what it writes with; see metadata.Writer. It must wait through
// outages of the store until ctx ends.
type Writer interface {
	Write(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error)
}

// Coordinator serves the groups of the slots that this agent owns: one
// goroutine a slot owns its groups.
type Coordinator struct {
	cfg     Config
	reader  Reader
	writer  Writer
	topics  Topics
	random  *chance.Source
	log     *slog.Logger
	metrics *metrics
	pace    *rate.Limiter // of bytes written
	members atomic.Int64  // bytes that all groups' members brought along
	away    atomic.Bool   // the store doesn't answer
	used    chan struct{} // holds a token when there was a request

	ctx    context.Context // of the readings of slots
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu struct {
		sync.Mutex
		slots  [Slots]*slot // nil: not owned
		closed bool
	}
}

// Open makes a coordinator that owns nothing. random makes members' ids; nil is the
// system's. It panics on a config that Validate refuses.
func Open(cfg Config, reader Reader, writer Writer, topics Topics, random *chance.Source, log *slog.Logger, reg prometheus.Registerer) *Coordinator {
	if err := cfg.Validate(); err != nil {
		panic("group: config: " + err.Error())
	}
	c := &Coordinator{cfg: cfg, reader: reader, writer: writer, topics: topics, random: random, log: log, metrics: newMetrics(reg), used: make(chan struct{}, 1)}
	c.pace = rate.NewLimiter(rate.Limit(cfg.StoreBytesPerSecond), int(max(cfg.StoreBytesPerSecond, metadata.MaxTxnBytes)))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.loads.Go(c.watchStore)
	return c
}

// OwnSlots takes slots over and reads their groups; until that is done requests
// for them are ErrLoading. Slots that are owned already stay as they are. Each write
// of a slot's groups holds the slot's guard, so that an owner that was replaced
// stores nothing; a zero guard is none.
func (c *Coordinator) OwnSlots(slots map[int]metadata.Guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var taken []*slot
	for n, guard := range slots {
		if c.mu.slots[n] == nil && !c.mu.closed {
			c.mu.slots[n] = newSlot(c, n, guard)
			taken = append(taken, c.mu.slots[n])
		}
	}
	if len(taken) > 0 {
		c.loads.Go(func() { c.load(taken) })
	}
}

// ReleaseSlot gives a slot up: what its groups have accepted is stored, unless
// ctx ends before, and everything that is pending is answered ErrNotCoordinator.
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

// slot is the owned slot of a group.
func (c *Coordinator) slot(group string) (*slot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.mu.slots[SlotOf(group)]; s != nil {
		return s, nil
	}
	return nil, ErrNotCoordinator
}

// owned are all owned slots.
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
