package partition

import (
	"sync"

	"varve/internal/reserve"
)

// Copies bounds the memory of records that reads copy out of journals, for all partitions of
// an agent. A nil Copies bounds nothing.
type Copies struct {
	limit int64

	mu struct {
		sync.Mutex
		used int64
		kept reserve.Reserve
	}
}

// NewCopies makes the bound. What is larger than it is copied alone.
func NewCopies(limit int64) *Copies { return &Copies{limit: limit} }

// Used returns how much is copied and not released yet.
func (c *Copies) Used() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.used
}

// room is how much an answer that has some records should copy: the more is in use the less,
// so that others, whose clients are faster, get some.
func (c *Copies) room() int {
	if c == nil {
		return 1 << 30
	}
	return int(max(0, c.limit-c.Used()) / 4)
}

// take counts n bytes, if there is room for them.
func (c *Copies) take(n int) bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(n)
	kept := c.mu.kept.Beside(size)
	if alone := c.mu.used == 0 && kept == 0; !alone && c.mu.used+size > c.limit-kept {
		c.mu.kept.Refused(size)
		return false
	}
	c.mu.used += size
	c.mu.kept.Granted(size)
	return true
}

func (c *Copies) give(n int) {
	if c == nil || n <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.used -= int64(n)
}
