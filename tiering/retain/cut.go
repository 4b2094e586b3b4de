package retain

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Limits is what a topic keeps; -1 is without limit.
type Limits struct {
	Ms    int64 // records whose timestamp is older may go (retention.ms)
	Bytes int64 // of a partition, at least so much is kept (retention.bytes)
}

// cutter finds how far a log may be cut from its start: whole slices, oldest
// first, as long as each is too old or more than enough is behind it. A slice
// without timestamps is as old as its object, as a segment is for Kafka.
type cutter struct {
	start  int64 // the log start, moved on
	byTime bool
	before int64 // largest timestamp that is too old
	bySize bool
	excess int64 // bytes over the limit
	oldest int64 // time of the first slice that stays; -1 if that isn't known
	aged   func(*schema.Slice) (int64, error)
}

// newCutter begins at a log start. total is the size of all that reaches above it,
// with what isn't tiered yet; aged finds out the time that counts for a slice which has no
// timestamps, or only a hint that it is too old.
func newCutter(keep Limits, start, total, now int64, aged func(*schema.Slice) (int64, error)) *cutter {
	c := &cutter{start: start, byTime: keep.Ms >= 0, before: now - keep.Ms - 1, bySize: keep.Bytes >= 0, oldest: -1, aged: aged}
	if c.bySize {
		c.excess = total - keep.Bytes
	}
	return c
}

// whole cuts all that a span covers, if it may all go.
func (c *cutter) whole(s manifest.Span, bytes int64) bool {
	old := c.byTime && !s.Hint && s.MinTime >= 0 && s.MaxTime <= c.before
	if !old && !c.tooMuch(bytes) {
		return false
	}
	c.excess -= bytes
	c.start = s.End
	return true
}

// newest returns the time that counts for a slice. One that would go because of a hint is
// looked into first.
func (c *cutter) newest(s *schema.Slice) (int64, error) {
	if s.MaxTime < 0 || !s.Object.TimesKnown() && s.MaxTime <= c.before {
		return c.aged(s)
	}
	return s.MaxTime, nil
}

func (c *cutter) tooMuch(bytes int64) bool { return c.bySize && c.excess >= bytes }

// slices cuts from a list; it reports whether one that has to stay was met.
func (c *cutter) slices(list []schema.Slice) (met bool, err error) {
	for i := range list {
		s := &list[i]
		if s.End <= c.start {
			continue // gone already
		}
		span := manifest.SpanOf(s)
		if c.byTime && !c.tooMuch(s.Bytes) {
			if span.MaxTime, err = c.newest(s); err != nil {
				return true, err
			}
		}
		span.MinTime, span.Hint = span.MaxTime, false // which is all that matters
		if !c.whole(span, s.Bytes) {
			c.oldest = span.MaxTime
			return true, nil
		}
	}
	return false, nil
}

// cut returns the log start that a partition should have. waiting is how many bytes
// of it are not in the tier yet; oldest is the time of the oldest slice that stays,
// -1 if that isn't known.
func (r *Retention) cut(ctx context.Context, h *schema.Head, p id.Partition, keep Limits, waiting, now int64) (start, oldest int64, err error) {
	live, err := manifest.LiveBytes(ctx, r.deps.Reader, p, h.Manifest, h.LogStart)
	if err != nil {
		return h.LogStart, -1, err
	}
	tiered := h.TieredBytes() - h.Manifest.Bytes + live
	c := newCutter(keep, h.LogStart, tiered+waiting, now, func(s *schema.Slice) (int64, error) { return r.aged(ctx, s) })
	met := false
	if h.Manifest.Slices > 0 {
		met, err = r.cutPage(ctx, c, p, h.Manifest.Root)
	}
	if !met && err == nil {
		_, err = c.slices(h.Slices)
	}
	if err != nil && c.start == h.LogStart {
		return h.LogStart, -1, err
	}
	return c.start, c.oldest, nil // the rest, if something failed, the next time
}

// aged returns the time that counts for the age of a slice without timestamps, or whose
// timestamps are hints: the largest of its records, or when its object was written if that
// can't be known.
func (r *Retention) aged(ctx context.Context, s *schema.Slice) (int64, error) {
	if s.Object.TimesKnown() {
		return r.written(ctx, s)
	}
	newest, err := r.deps.Reader.NewestIn(ctx, s)
	var corrupt *object.CorruptError
	switch {
	case errors.Is(err, object.ErrGone):
		return s.MaxTime, nil // nothing is left that could be kept
	case errors.As(err, &corrupt), err == nil && newest < 0:
		return r.written(ctx, s)
	}
	return newest, err
}

// written returns when a slice's object was written, in ms.
func (r *Retention) written(ctx context.Context, s *schema.Slice) (int64, error) {
	o, err := r.deps.Store.Head(ctx, object.Key(s.Object))
	if err != nil {
		return -1, fmt.Errorf("age of a slice without timestamps: %w", err)
	}
	return o.Modified.UnixMilli(), nil
}

func (r *Retention) cutPage(ctx context.Context, c *cutter, p id.Partition, at schema.Page) (met bool, err error) {
	g, err := r.deps.Reader.Page(ctx, p, at)
	if err != nil {
		return true, err
	}
	for i := range g.Children {
		below := &g.Children[i]
		if below.End <= c.start || below.Base >= c.start && c.whole(below.Span, below.Bytes) {
			continue
		}
		if met, err = r.cutPage(ctx, c, p, below.Page); met || err != nil {
			return true, err
		}
	}
	return c.slices(g.Slices)
}
