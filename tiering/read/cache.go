package read

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"varve/metadata/schema"
)

// cacheKey names what is cached: a part of an object.
type cacheKey struct {
	kind   uint8
	object schema.Object
	at     int64
}

// Kinds of cached things.
const (
	kindChunk = iota + 1 // aligned bytes of an object; at is the chunk's number
	kindBlock            // record batches of one block
	kindIndex
	kindState
	kindPage
	kindNewest // the largest timestamp of a slice's records; at is where its index is
)

// cache keeps the newest used values up to a cost, and loads each only once
// however many ask for it at a time.
type cache[V any] struct {
	limit   atomic.Int64
	start   func(func())               // runs a goroutine that the owner waits for
	ctx     context.Context            // of the loads
	retain  func(V)                    // another user
	release func(V)                    // a user less
	hit     func(kind uint8, had bool) // counts

	mu struct {
		sync.Mutex
		items   map[cacheKey]*list.Element // of *item[V]
		order   list.List                  // newest used first
		cost    int64
		flights map[cacheKey]*flight[V]
	}
}

type item[V any] struct {
	key   cacheKey
	value V
	cost  int64
	used  time.Time
}

// flight is a load under way. Its fields are guarded by the cache's lock until
// done is closed.
type flight[V any] struct {
	waiters int
	cancel  context.CancelFunc
	done    chan struct{}
	over    bool
	value   V
	err     error
}

func newCache[V any](ctx context.Context, limit int64, start func(func()), retain, release func(V), hit func(uint8, bool)) *cache[V] {
	c := &cache[V]{start: start, ctx: ctx, retain: retain, release: release, hit: hit}
	c.limit.Store(limit)
	c.mu.items = map[cacheKey]*list.Element{}
	c.mu.flights = map[cacheKey]*flight[V]{}
	return c
}

// load makes a value and returns what it costs.
type load[V any] func(ctx context.Context) (V, int64, error)

// get returns the value, loaded if need be; the caller becomes one of its users. A
// load ends when no caller waits for it any more. When quit is closed the caller
// leaves with errNoWait; it may be nil.
func (c *cache[V]) get(ctx context.Context, key cacheKey, quit <-chan struct{}, load load[V]) (value V, err error) {
	c.mu.Lock()
	if e, ok := c.mu.items[key]; ok {
		value = c.use(e)
		c.mu.Unlock()
		c.hit(key.kind, true)
		return value, nil
	}
	f := c.mu.flights[key]
	joined := f != nil
	if !joined {
		f = c.takeOff(key, load)
	}
	f.waiters++
	c.mu.Unlock()
	c.hit(key.kind, joined)
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		c.abandon(key, f, context.Cause(ctx) == ErrLater)
		return value, ctx.Err()
	case <-quit:
		c.abandon(key, f, false)
		return value, errNoWait
	}
}

// use marks an item as used; the lock is held.
func (c *cache[V]) use(e *list.Element) V {
	c.mu.order.MoveToFront(e)
	i := e.Value.(*item[V])
	i.used = time.Now()
	v := i.value
	c.retain(v)
	return v
}

// begin starts to load a value, unless it is there or on its way, for the next
// caller; it reports whether it did.
func (c *cache[V]) begin(key cacheKey, load load[V]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.items[key] != nil || c.mu.flights[key] != nil {
		return false
	}
	c.takeOff(key, load)
	return true
}

// takeOff starts a load; the lock is held.
func (c *cache[V]) takeOff(key cacheKey, load load[V]) *flight[V] {
	ctx, cancel := context.WithCancel(c.ctx)
	f := &flight[V]{cancel: cancel, done: make(chan struct{})}
	c.mu.flights[key] = f
	c.start(func() {
		defer cancel()
		value, cost, err := load(ctx)
		c.land(key, f, value, cost, err)
	})
	return f
}

func (c *cache[V]) land(key cacheKey, f *flight[V], value V, cost int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.value, f.err, f.over = value, err, true
	if c.mu.flights[key] == f {
		delete(c.mu.flights, key)
	}
	if err == nil {
		for range f.waiters {
			c.retain(value)
		}
		c.keep(key, value, cost)
	}
	close(f.done)
}

// keep makes the cache a user of the value, in place of the load; the lock is held.
func (c *cache[V]) keep(key cacheKey, value V, cost int64) {
	if _, twice := c.mu.items[key]; twice {
		c.release(value)
		return
	}
	c.mu.items[key] = c.mu.order.PushFront(&item[V]{key, value, cost, time.Now()})
	c.mu.cost += cost
	c.shrink(c.limit.Load())
}

// shrink drops the values that were used longest ago; the lock is held.
func (c *cache[V]) shrink(limit int64) {
	for c.mu.cost > limit {
		c.dropItem(c.mu.order.Back())
	}
}

func (c *cache[V]) dropItem(e *list.Element) {
	i := c.mu.order.Remove(e).(*item[V])
	delete(c.mu.items, i.key)
	c.mu.cost -= i.cost
	c.release(i.value)
}

// abandon leaves a flight. The last to leave ends it, unless it will ask again later.
func (c *cache[V]) abandon(key cacheKey, f *flight[V], later bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.over {
		if f.err == nil {
			c.release(f.value)
		}
		return
	}
	if f.waiters--; f.waiters == 0 && !later {
		f.cancel()
		if c.mu.flights[key] == f {
			delete(c.mu.flights, key)
		}
	}
}

// drop forgets a value that proved wrong.
func (c *cache[V]) drop(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.mu.items[key]; e != nil {
		c.dropItem(e)
	}
}

// evict gives up values worth about n.
func (c *cache[V]) evict(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shrink(max(0, min(c.mu.cost-n, c.limit.Load())))
}

func (c *cache[V]) cost() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cost
}

// resize sets the limit.
func (c *cache[V]) resize(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.Store(limit)
	c.shrink(limit)
}

// tidy drops the values that were not used since a moment, and returns what they cost.
func (c *cache[V]) tidy(since time.Time) (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.mu.cost
	for e := c.mu.order.Back(); e != nil && e.Value.(*item[V]).used.Before(since); e = c.mu.order.Back() {
		c.dropItem(e)
	}
	return before - c.mu.cost
}

// clear drops all values.
func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shrink(0)
}
