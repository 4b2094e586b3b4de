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

// cache keeps values up to a cost, and loads each only once however many ask for it at a
// time. It gives up first what a sequential reader is done with, then what was used longest
// ago, and last what was loaded ahead of its first use: readahead must not be in vain when the
// cache is small for its readers.
type cache[V any] struct {
	limit   atomic.Int64
	start   func(func())               // runs a goroutine that the owner waits for
	ctx     context.Context            // of the loads
	retain  func(V)                    // another user
	release func(V)                    // a user less
	shared  func(V) bool               // reports whether there are users besides the cache
	hit     func(kind uint8, had bool) // counts

	mu struct {
		sync.Mutex
		items   map[cacheKey]*list.Element // of *item[V]
		stages  [stages]stage
		cost    int64 // of all
		flights map[cacheKey]*flight[V]
	}
}

type item[V any] struct {
	key   cacheKey
	value V
	cost  int64
	stage int
	used  time.Time // or loaded
}

// Stages of a value, in the order in which they are given up.
const (
	stageDone  = iota // its reader is done with it, or hasn't come for a while
	stageUsed         // it may be used again soon
	stageAhead        // it was loaded ahead, and not used yet
	stages
)

// stage is the values of a stage, with those first that entered it last.
type stage struct {
	order list.List // of *item[V]
	cost  int64
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

func newCache[V any](ctx context.Context, limit int64, start func(func()), retain, release func(V), shared func(V) bool, hit func(uint8, bool)) *cache[V] {
	c := &cache[V]{start: start, ctx: ctx, retain: retain, release: release, shared: shared, hit: hit}
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
	i := e.Value.(*item[V])
	i.used = time.Now()
	c.move(e, stageUsed)
	c.retain(i.value)
	return i.value
}

// crowded reports whether values that are expected to be used soon take most of the cache, with
// those that are being loaded, at a cost of each: to load more ahead would push some of them out.
func (c *cache[V]) crowded(each int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := stageUsed; s < stages; s++ {
		values := &c.mu.stages[s].order
		for e := values.Back(); e != nil && time.Since(e.Value.(*item[V]).used) > expectedFor; e = values.Back() {
			c.move(e, stageDone)
		}
	}
	expected := c.mu.stages[stageUsed].cost + c.mu.stages[stageAhead].cost + int64(len(c.mu.flights))*each
	return expected >= c.limit.Load()/4*3
}

// expectedFor is how long a value is expected to be used soon.
const expectedFor = 5 * time.Second

// finish notes that a sequential reader is done with a value. Others may use it still.
func (c *cache[V]) finish(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.mu.items[key]; e != nil {
		c.move(e, stageDone)
	}
}

// has reports whether a value is there.
func (c *cache[V]) has(key cacheKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.items[key] != nil
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
		i := &item[V]{key: key, value: value, cost: cost, stage: stageUsed, used: time.Now()}
		if f.waiters == 0 {
			i.stage = stageAhead
		}
		c.keep(i)
	}
	close(f.done)
}

// keep makes the cache a user of the value, in place of the load; the lock is held.
func (c *cache[V]) keep(i *item[V]) {
	if _, twice := c.mu.items[i.key]; twice {
		c.release(i.value)
		return
	}
	c.enter(i)
	c.mu.cost += i.cost
	c.shrink(c.limit.Load())
}

func (c *cache[V]) enter(i *item[V]) {
	s := &c.mu.stages[i.stage]
	s.cost += i.cost
	c.mu.items[i.key] = s.order.PushFront(i)
}

func (c *cache[V]) leave(e *list.Element) *item[V] {
	i := e.Value.(*item[V])
	s := &c.mu.stages[i.stage]
	s.cost -= i.cost
	s.order.Remove(e)
	return i
}

// move makes a value the newest of a stage; the lock is held.
func (c *cache[V]) move(e *list.Element, stage int) {
	if i := e.Value.(*item[V]); i.stage == stage {
		c.mu.stages[stage].order.MoveToFront(e)
	} else {
		c.leave(e)
		i.stage = stage
		c.enter(i)
	}
}

// shrink drops values until the rest costs no more than limit; the lock is held.
func (c *cache[V]) shrink(limit int64) {
	for s := range c.mu.stages {
		for values := &c.mu.stages[s].order; c.mu.cost > limit && values.Len() > 0; {
			c.dropItem(values.Back())
		}
	}
}

func (c *cache[V]) dropItem(e *list.Element) {
	i := c.leave(e)
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

// evict gives up values worth about n that have no user but the cache, and returns what they
// cost: only these free memory.
func (c *cache[V]) evict(n int64) (freed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.mu.stages {
		for e := c.mu.stages[s].order.Back(); e != nil && freed < n; {
			i := e.Value.(*item[V])
			next := e.Prev()
			if !c.shared(i.value) {
				freed += i.cost
				c.dropItem(e)
			}
			e = next
		}
	}
	return freed
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
	for s := range c.mu.stages {
		values := &c.mu.stages[s].order
		for e := values.Back(); e != nil && e.Value.(*item[V]).used.Before(since); e = values.Back() {
			c.dropItem(e)
		}
	}
	return before - c.mu.cost
}

// clear drops all values.
func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shrink(0)
}
