package tiering

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"varve/internal/id"
	"varve/metadata"
)

// pageLoader loads pages.
type pageLoader interface {
	loadPage(ctx context.Context, p id.Partition, at metadata.Page) (*page, error)
}

// pageIO loads and stores pages. A page that was stored is named by nothing until
// the head that leads to it is committed.
type pageIO interface {
	pageLoader
	storePage(ctx context.Context, p *page) (metadata.Page, error)
}

// tree changes a partition's manifest, copy on write.
type tree struct {
	io        pageIO
	partition id.Partition
	topic     string
}

// fold adds slices behind a manifest's last. It rewrites one page of each level.
func (t *tree) fold(ctx context.Context, m metadata.Manifest, add []metadata.Slice) (metadata.Manifest, error) {
	if len(add) == 0 {
		return m, nil
	}
	if m.Slices > 0 && m.End != add[0].Base {
		return m, fmt.Errorf("fold slice at %d behind a manifest that ends at %d: %w", add[0].Base, m.End, errSense)
	}
	tops, level, err := t.grow(ctx, m.Root, add)
	for err == nil && len(tops) > 1 {
		level++
		tops, err = t.writeChildren(ctx, level, nil, tops)
	}
	if err != nil {
		return m, err
	}
	return manifestOf(tops[0]), nil
}

func manifestOf(root child) metadata.Manifest {
	return metadata.Manifest{Root: root.Page, Base: root.Base, End: root.End, Slices: root.Slices, Bytes: root.Bytes}
}

// grow adds slices to the rightmost leaf below a page; it gives the pages, of one
// level, that stand in its place.
func (t *tree) grow(ctx context.Context, at metadata.Page, add []metadata.Slice) ([]child, uint8, error) {
	if at.Object.Writer == 0 {
		made, err := t.writeSlices(ctx, nil, add)
		return made, 0, err
	}
	p, err := t.io.loadPage(ctx, t.partition, at)
	if err != nil {
		return nil, 0, err
	}
	if p.Level == 0 {
		if len(p.Slices) == PageEntries {
			made, err := t.writeSlices(ctx, []child{t.known(p, at)}, add)
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
		made, err := t.writeChildren(ctx, p.Level, []child{t.known(p, at)}, below[1:])
		return made, p.Level, err
	}
	made, err := t.writeChildren(ctx, p.Level, nil, append(slices.Clone(p.Children[:last]), below...))
	return made, p.Level, err
}

// known is the page as it is, when nothing in it changes.
func (t *tree) known(p *page, at metadata.Page) child {
	c := p.sum()
	c.Page = at
	return c
}

func (t *tree) writeSlices(ctx context.Context, before []child, all []metadata.Slice) ([]child, error) {
	for part := range slices.Chunk(all, PageEntries) {
		c, err := t.write(ctx, &page{Slices: part})
		if err != nil {
			return nil, err
		}
		before = append(before, c)
	}
	return before, nil
}

func (t *tree) writeChildren(ctx context.Context, level uint8, before, all []child) ([]child, error) {
	for part := range slices.Chunk(all, PageEntries) {
		c, err := t.write(ctx, &page{Level: level, Children: part})
		if err != nil {
			return nil, err
		}
		before = append(before, c)
	}
	return before, nil
}

func (t *tree) write(ctx context.Context, p *page) (c child, err error) {
	p.Partition, p.Topic = t.partition, t.topic
	if err := p.check(); err != nil {
		return c, fmt.Errorf("write page of %v: %w", t.partition, err)
	}
	c = p.sum()
	c.Page, err = t.io.storePage(ctx, p)
	return c, err
}

// trim drops all slices that end at or below to.
func (t *tree) trim(ctx context.Context, m metadata.Manifest, to int64) (metadata.Manifest, error) {
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
	return manifestOf(root), nil
}

// cut gives the page that stands in a page's place without what ends at or below
// to; something is left. A page with a single child gives way to that.
func (t *tree) cut(ctx context.Context, at metadata.Page, to int64) (child, error) {
	p, err := t.io.loadPage(ctx, t.partition, at)
	if err != nil {
		return child{}, err
	}
	n := sort.Search(len(p.Slices)+len(p.Children), func(i int) bool { _, end := p.bounds(i); return end > to })
	if p.Level == 0 {
		if n == 0 {
			return t.known(p, at), nil
		}
		return t.write(ctx, &page{Slices: p.Slices[n:]})
	}
	left := slices.Clone(p.Children[n:])
	if left[0].Base < to {
		first, err := t.cutBelow(ctx, p.Level, left[0], to, len(left) == 1)
		if err != nil {
			return child{}, err
		}
		left[0] = first
	}
	switch {
	case len(left) == 1:
		return left[0], nil
	case n == 0 && left[0].Page == p.Children[0].Page:
		return t.known(p, at), nil
	}
	return t.write(ctx, &page{Level: p.Level, Children: left})
}

// cutBelow cuts a child. Unless it is alone it has to stay one level below its
// parent, however few children it is left with.
func (t *tree) cutBelow(ctx context.Context, level uint8, c child, to int64, alone bool) (child, error) {
	cut, err := t.cut(ctx, c.Page, to)
	if err != nil || alone || level == 1 {
		return cut, err
	}
	p, err := t.io.loadPage(ctx, t.partition, cut.Page)
	for err == nil && p.Level+1 < level {
		if cut, err = t.write(ctx, &page{Level: p.Level + 1, Children: []child{cut}}); err == nil {
			p, err = t.io.loadPage(ctx, t.partition, cut.Page)
		}
	}
	return cut, err
}
