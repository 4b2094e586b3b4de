package partition

import "sync/atomic"

// Copies bounds the memory of records that reads copy out of journals, for all partitions of
// an agent. A nil Copies bounds nothing.
type Copies struct {
	limit int64
	used  atomic.Int64
}

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
	for {
		used := c.used.Load()
		if used > 0 && used+int64(n) > c.limit {
			return false
		}
		if c.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

func (c *Copies) give(n int) {
	if c != nil && n > 0 {
		c.used.Add(-int64(n))
	}
}
