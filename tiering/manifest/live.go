package manifest

import (
	"context"

	"varve/internal/id"
	"varve/metadata"
)

// Live is what a manifest holds from a log start on.
type Live struct {
	Bytes int64 // of its slices that end above
	Dead  int64 // number of its slices that end at or below
}

// CountLive reads the pages on the way to the log start.
func CountLive(ctx context.Context, io Pages, p id.Partition, m metadata.Manifest, start int64) (Live, error) {
	l := Live{Bytes: m.Bytes}
	switch {
	case m.Slices == 0 || m.Base >= start:
		return l, nil
	case m.End <= start:
		return Live{Dead: m.Slices}, nil
	}
	for at, root := m.Root, true; at.Object.Writer != 0; root = false {
		g, err := io.Page(ctx, p, at)
		if err != nil {
			return l, err
		}
		if root {
			l.Bytes = g.sum().Bytes
		}
		at = l.below(g, start)
	}
	return l, nil
}

// below takes off what a page lists below the log start, and gives the page in
// which that lies.
func (l *Live) below(g *Page, start int64) (next metadata.Page) {
	for i := range g.Slices {
		if s := &g.Slices[i]; s.End <= start {
			l.Dead++
			l.Bytes -= s.Bytes
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
		l.Dead += c.Slices
		l.Bytes -= c.Bytes
	}
	return metadata.Page{}
}
