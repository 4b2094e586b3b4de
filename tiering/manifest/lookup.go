package manifest

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
)

var errNoSlice = errors.New("no slice covers the offset")

// Locate returns the slice that holds an offset and some of those after it.
func Locate(ctx context.Context, pages Pages, h *schema.Head, p id.Partition, offset int64) ([]schema.Slice, error) {
	run := h.Slices
	if m := &h.Manifest; m.Slices > 0 && offset < m.End {
		leaf, err := Leaf(ctx, pages, p, m, offset)
		if err != nil {
			return nil, err
		}
		run = leaf.Slices
	}
	i := sort.Search(len(run), func(i int) bool { return run[i].End > offset })
	if i == len(run) || run[i].Base > offset {
		return nil, fmt.Errorf("%v at %d: %w", p, offset, errNoSlice)
	}
	return run[i:], nil
}

// Leaf returns the leaf that holds an offset.
func Leaf(ctx context.Context, pages Pages, p id.Partition, m *schema.Manifest, offset int64) (*Page, error) {
	at, from, to := m.Root, m.Base, m.End
	for range maxLevel + 1 {
		g, err := pages.Page(ctx, p, at)
		if err != nil || g.Level == 0 {
			return g, object.WrapHole(p, from, to, object.PageKey(at.Object), err)
		}
		i := sort.Search(len(g.Children), func(i int) bool { return g.Children[i].End > offset })
		if i == len(g.Children) {
			return nil, &object.CorruptError{Key: object.PageKey(at.Object), At: 0, Err: fmt.Errorf("offset %d: %w", offset, errNoSlice)}
		}
		at, from, to = g.Children[i].Page, g.Children[i].Base, g.Children[i].End
	}
	return nil, &object.CorruptError{Key: object.PageKey(at.Object), At: 0, Err: errors.New("the manifest is too deep")}
}

// Walk calls each with the slices that hold offset from or are after it, in order,
// leaving out those, and whole pages, that want rejects. An error of each ends it.
func Walk(ctx context.Context, pages Pages, h *schema.Head, p id.Partition, from int64, want func(Span) bool, each func(*schema.Slice) error) error {
	wanted := func(s Span) bool { return s.End > from && want(s) }
	if h.Manifest.Slices > 0 && h.Manifest.End > from {
		if err := walkPage(ctx, pages, p, h.Manifest.Root, wanted, each); err != nil {
			return err
		}
	}
	return walkSlices(h.Slices, wanted, each)
}

func walkPage(ctx context.Context, pages Pages, p id.Partition, at schema.Page, wanted func(Span) bool, each func(*schema.Slice) error) error {
	g, err := pages.Page(ctx, p, at)
	if err != nil {
		return err
	}
	for i := range g.Children {
		c := &g.Children[i]
		if !wanted(c.Span) {
			continue
		}
		if err := walkPage(ctx, pages, p, c.Page, wanted, each); err != nil {
			return err
		}
	}
	return walkSlices(g.Slices, wanted, each)
}

func walkSlices(list []schema.Slice, wanted func(Span) bool, each func(*schema.Slice) error) error {
	for i := range list {
		if !wanted(SpanOf(&list[i])) {
			continue
		}
		if err := each(&list[i]); err != nil {
			return err
		}
	}
	return nil
}
