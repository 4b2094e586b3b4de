package read

import (
	"container/list"
	"context"
	"sync"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Bounds of what is remembered about sequential readers.
const (
	maxStreams = 4096
	streamLife = 30 * time.Second
)

// streams knows readers by where each will go on: a read that begins where an
// earlier one of the partition ended is the same reader's.
type streams struct {
	mu struct {
		sync.Mutex
		by    map[streamKey]*list.Element // of *stream
		order list.List                   // newest first
	}
}

type streamKey struct {
	partition id.Partition
	next      int64
}

type stream struct {
	key    streamKey
	window int64 // bytes to read ahead
	seen   time.Time
}

func (s *streams) init() { s.mu.by = map[streamKey]*list.Element{} }

// step notes a read from offset to next, and returns how far to read ahead: nothing
// at first, then first bytes, doubled each time up to most.
func (s *streams) step(p id.Partition, offset, next, first, most int64, now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &stream{key: streamKey{p, next}, seen: now}
	if e := s.mu.by[streamKey{p, offset}]; e != nil {
		t.window = max(first, 2*s.remove(e).window)
	}
	for e := s.mu.order.Back(); e != nil && (s.mu.order.Len() >= maxStreams || now.Sub(e.Value.(*stream).seen) > streamLife); e = s.mu.order.Back() {
		s.remove(e)
	}
	// What there is is shared by the present readers.
	t.window = min(t.window, max(most/int64(s.mu.order.Len()+1), first))
	if e := s.mu.by[t.key]; e != nil {
		t.window = max(t.window, s.remove(e).window)
	}
	s.mu.by[t.key] = s.mu.order.PushFront(t)
	return t.window
}

func (s *streams) remove(e *list.Element) *stream {
	t := s.mu.order.Remove(e).(*stream)
	delete(s.mu.by, t.key)
	return t
}

// waiting reports whether a reader is still expected to go on there. When it has gone
// on already, what was to be read ahead of it may be behind it by now.
func (s *streams) waiting(k streamKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.by[k] != nil
}

// follow reads ahead of a reader that read from offset to next, if it is a
// sequential one.
func (r *Reader) follow(h *schema.Head, p id.Partition, offset, next int64) {
	if r.cfg.ReadaheadBytes == 0 || next >= h.TieredEnd {
		return
	}
	first := min(int64(r.cfg.ChunkBytes), r.cfg.ReadaheadBytes)
	window := r.streams.step(p, offset, next, first, r.cfg.ReadaheadBytes, time.Now())
	if window > 0 {
		r.wg.Go(func() { r.ahead(r.ctx, h, p, next, window) })
	}
}

// ahead starts to load what is within window bytes after an offset. Errors
// will meet the reader itself, if they last.
func (r *Reader) ahead(ctx context.Context, h *schema.Head, p id.Partition, next, window int64) {
	reader := streamKey{p, next}
	for window > 0 && next < h.TieredEnd {
		run, err := manifest.Locate(ctx, r, h, p, next)
		if err != nil {
			return
		}
		for i := 0; i < len(run) && window > 0; i++ {
			x, err := r.parts.index(ctx, &run[i])
			if err != nil {
				return
			}
			if !r.streams.waiting(reader) {
				return
			}
			window = r.aheadIn(run[i].Object, x.From(next), window)
			next = run[i].End
		}
	}
}

func (r *Reader) aheadIn(o schema.Object, blocks []object.Block, window int64) int64 {
	for i := 0; i < len(blocks) && window > 0; i++ {
		if r.parts.chunks.crowded(int64(r.cfg.ChunkBytes)) {
			return 0
		}
		r.metrics.ahead.Add(float64(r.parts.prefetch(o, &blocks[i])))
		window -= int64(blocks[i].Stored)
	}
	return window
}
