package read

import "time"

// unusedAfter is how long unread values stay in the caches.
const unusedAfter = 30 * time.Second

// Tidy drops what was not read for a while, and returns how many bytes that was.
func (r *Reader) Tidy() int64 {
	since := time.Now().Add(-unusedAfter)
	return r.parts.chunks.tidy(since) + r.parts.meta.tidy(since)
}

// Halve makes the reader use its memory halved so many times, but never less than it works
// with; 0 is all of it. What answers hold goes when their clients have taken it.
func (r *Reader) Halve(times int) {
	data := max(r.cfg.MemoryBytes>>times, 8*int64(r.cfg.ChunkBytes))
	r.parts.memory.limit.Store(data)
	r.parts.chunks.resize(data / 4 * 3)
	r.parts.meta.resize(max(r.cfg.MetaBytes>>times, leastMeta))
}

// leastMeta is the least memory for indexes and pages.
const leastMeta = 1 << 20
