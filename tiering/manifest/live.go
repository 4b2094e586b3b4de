package manifest

import (
	"context"

	"varve/internal/id"
	"varve/metadata/schema"
)

// live is what a manifest holds from a log start on.
type live struct {
	bytes int64 // of its slices that end above
	dead  int64 // number of its slices that end at or below
}

// LiveBytes returns the size of a manifest's slices that end above a log start.
func LiveBytes(ctx context.Context, pages Pages, p id.Partition, m schema.Manifest, start int64) (int64, error) {
	l, err := countLive(ctx, pages, p, m, start)
	return l.bytes, err
}

// countLive reads the pages on the way to the log start.
func countLive(ctx context.Context, io Pages, p id.Partition, m schema.Manifest, start int64) (live, error) {
	l := live{bytes: m.Bytes}
	switch {
	case m.Slices == 0 || m.Base >= start:
		return l, nil
	case m.End <= start:
		return live{dead: m.Slices}, nil
	}
	for at, root := m.Root, true; at.Object.Writer != 0; root = false {
		g, err := io.Page(ctx, p, at)
		if err != nil {
			return l, err
		}
		if root {
			l.bytes = g.sum().Bytes
		}
		at = l.below(g, start)
	}
	return l, nil
}

// below takes off what a page lists below the log start, and returns the page in
// which that is.
func (l *live) below(g *Page, start int64) (next schema.Page) {
	for i := range g.Slices {
		if s := &g.Slices[i]; s.End <= start {
			l.dead++
			l.bytes -= s.Bytes
		}
	}
	for i := range g.Children {
		c := &g.Children[i]
		if c.End > start {
			if c.Base < start {
				return c.Page
			}
			break
		}
		l.dead += c.Slices
		l.bytes -= c.Bytes
	}
	return schema.Page{}
}
