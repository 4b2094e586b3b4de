package manifest

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"varve/internal/id"
	"varve/metadata"
	"varve/tiering/object"
)

// Pages loads pages.
type Pages interface {
	Page(ctx context.Context, p id.Partition, at metadata.Page) (*Page, error)
}

// PageStore loads and stores pages. A page that was stored is named by nothing until
// the head that leads to it is committed.
type PageStore interface {
	Pages
	storePage(ctx context.Context, p *Page) (metadata.Page, error)
}

// Tree changes a partition's manifest, copy on write.
type Tree struct {
	io        PageStore
	partition id.Partition
	topic     string
}

// NewTree makes the tree of a partition's manifest. topic is its name, or "".
func NewTree(io PageStore, p id.Partition, topic string) *Tree { return &Tree{io, p, topic} }

// Fold adds slices behind a manifest's last. It rewrites one page of each level.
func (t *Tree) Fold(ctx context.Context, m metadata.Manifest, add []metadata.Slice) (metadata.Manifest, error) {
	if len(add) == 0 {
		return m, nil
	}
	if m.Slices > 0 && m.End != add[0].Base {
		return m, fmt.Errorf("fold slice at %d behind a manifest that ends at %d: %w", add[0].Base, m.End, object.ErrInconsistent)
	}
	tops, level, err := t.grow(ctx, m.Root, add)
	for err == nil && len(tops) > 1 {
		level++
		tops, err = t.writeChildren(ctx, level, nil, tops)
	}
	if err != nil {
		return m, err
	}
	return Of(tops[0]), nil
}

// Of returns the manifest with a root.
func Of(root Child) metadata.Manifest {
	return metadata.Manifest{Root: root.Page, Base: root.Base, End: root.End, Slices: root.Slices, Bytes: root.Bytes}
}

// grow adds slices to the rightmost leaf below a page; it gives the pages, of one
// level, that stand in its place.
func (t *Tree) grow(ctx context.Context, at metadata.Page, add []metadata.Slice) ([]Child, uint8, error) {
	if at.Object.Writer == 0 {
		made, err := t.writeSlices(ctx, nil, add)
		return made, 0, err
	}
	p, err := t.io.Page(ctx, t.partition, at)
	if err != nil {
		return nil, 0, err
	}
	if p.Level == 0 {
		if len(p.Slices) == PageEntries {
			made, err := t.writeSlices(ctx, []Child{t.Known(p, at)}, add)
			return made, 0, err
		}
		made, err := t.writeSlices(ctx, nil, append(slices.Clone(p.Slices), add...))
		return made, 0, err
	}
	last := len(p.Children) - 1
	below, _, err := t.grow(ctx, p.Children[last].Page, add)
	if err != nil {
		return nil, 0, err
	}
	if last+1 == PageEntries && below[0].Page == p.Children[last].Page {
		made, err := t.writeChildren(ctx, p.Level, []Child{t.Known(p, at)}, below[1:])
		return made, p.Level, err
	}
	made, err := t.writeChildren(ctx, p.Level, nil, append(slices.Clone(p.Children[:last]), below...))
	return made, p.Level, err
}

// Known is the page as it is, when nothing in it changes.
func (t *Tree) Known(p *Page, at metadata.Page) Child {
	c := p.sum()
	c.Page = at
	return c
}

func (t *Tree) writeSlices(ctx context.Context, before []Child, all []metadata.Slice) ([]Child, error) {
	for part := range slices.Chunk(all, PageEntries) {
		c, err := t.Write(ctx, &Page{Slices: part})
		if err != nil {
			return nil, err
		}
		before = append(before, c)
	}
	return before, nil
}

func (t *Tree) writeChildren(ctx context.Context, level uint8, before, all []Child) ([]Child, error) {
	for part := range slices.Chunk(all, PageEntries) {
		c, err := t.Write(ctx, &Page{Level: level, Children: part})
		if err != nil {
			return nil, err
		}
		before = append(before, c)
	}
	return before, nil
}

// Write stores a page, and returns it as its parent knows it, with all that it covers.
func (t *Tree) Write(ctx context.Context, p *Page) (c Child, err error) {
	p.Partition, p.Topic = t.partition, t.topic
	if err := p.check(); err != nil {
		return c, fmt.Errorf("write page of %v: %w", t.partition, err)
	}
	c = p.sum()
	c.Page, err = t.io.storePage(ctx, p)
	return c, err
}

// Trim drops all slices that end at or below to.
func (t *Tree) Trim(ctx context.Context, m metadata.Manifest, to int64) (metadata.Manifest, error) {
	if m.Root.Object.Writer == 0 || m.Base >= to {
		return m, nil
	}
	if m.End <= to {
		return metadata.Manifest{}, nil
	}
	root, err := t.cut(ctx, m.Root, to)
	if err != nil {
		return m, err
	}
	return Of(root), nil
}

// cut gives the page that stands in a page's place without what ends at or below
// to; something is left. A page with a single child gives way to that.
func (t *Tree) cut(ctx context.Context, at metadata.Page, to int64) (Child, error) {
	p, err := t.io.Page(ctx, t.partition, at)
	if err != nil {
		return Child{}, err
	}
	n := sort.Search(len(p.Slices)+len(p.Children), func(i int) bool { _, end := p.Bounds(i); return end > to })
	if p.Level == 0 {
		if n == 0 {
			return t.Known(p, at), nil
		}
		return t.Write(ctx, &Page{Slices: p.Slices[n:]})
	}
	left := slices.Clone(p.Children[n:])
	if left[0].Base < to {
		first, err := t.cutBelow(ctx, p.Level, left[0], to, len(left) == 1)
		if err != nil {
			return Child{}, err
		}
		left[0] = first
	}
	switch {
	case len(left) == 1:
		return left[0], nil
	case n == 0 && left[0].Page == p.Children[0].Page:
		return t.Known(p, at), nil
	}
	return t.Write(ctx, &Page{Level: p.Level, Children: left})
}

// cutBelow cuts a child. Unless it is alone it has to stay one level below its
// parent, however few children it is left with.
func (t *Tree) cutBelow(ctx context.Context, level uint8, c Child, to int64, alone bool) (Child, error) {
	cut, err := t.cut(ctx, c.Page, to)
	if err != nil || alone || level == 1 {
		return cut, err
	}
	p, err := t.io.Page(ctx, t.partition, cut.Page)
	for err == nil && p.Level+1 < level {
		if cut, err = t.Write(ctx, &Page{Level: p.Level + 1, Children: []Child{cut}}); err == nil {
			p, err = t.io.Page(ctx, t.partition, cut.Page)
		}
	}
	return cut, err
}
