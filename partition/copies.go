package partition

import (
	"sync/atomic"
	"time"
)

// Copies bounds the memory of records that reads copy out of journals, for all partitions of
// an agent. A nil Copies bounds nothing.
type Copies struct {
	limit int64
	used  atomic.Int64

	// The largest read that found no room, and until when room is kept for it: many small ones
	// would never leave it any.
	hungry      atomic.Int64
	hungryUntil atomic.Int64 // in ns since 1970
}

// keepRoomFor is how long room is kept for a read that found none. Its client asks again by then.
const keepRoomFor = time.Second

// NewCopies makes the bound. What is larger than it is copied alone.
func NewCopies(limit int64) *Copies { return &Copies{limit: limit} }

// Used returns how much is copied and not released yet.
func (c *Copies) Used() int64 { return c.used.Load() }

// room is how much an answer that has some records should copy: the more is in use the less,
// so that others, whose clients are faster, get some.
func (c *Copies) room() int {
	if c == nil {
		return 1 << 30
	}
	return int(max(0, c.limit-c.used.Load()) / 4)
}

// take counts n bytes, if there is room for them.
func (c *Copies) take(n int) bool {
	if c == nil {
		return true
	}
	kept := c.kept(int64(n))
	for {
		used := c.used.Load()
		if (used > 0 || kept > 0) && used+int64(n) > c.limit-kept {
			if int64(n) >= c.hungry.Load() {
				c.hungry.Store(int64(n))
				c.hungryUntil.Store(time.Now().Add(keepRoomFor).UnixNano())
			}
			return false
		}
		if c.used.CompareAndSwap(used, used+int64(n)) {
			if int64(n) >= c.hungry.Load() {
				c.hungry.Store(0)
			}
			return true
		}
	}
}

// kept returns how much room a read of n bytes must leave for a larger one.
func (c *Copies) kept(n int64) int64 {
	hungry := c.hungry.Load()
	switch {
	case hungry <= n:
		return 0
	case time.Now().UnixNano() > c.hungryUntil.Load():
		c.hungry.Store(0)
		return 0
	}
	return hungry
}

func (c *Copies) give(n int) {
	if c != nil && n > 0 {
		c.used.Add(-int64(n))
	}
}
