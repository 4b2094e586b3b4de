package manifest

import (
	"context"
	"fmt"
	"slices"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// Pages loads pages.
type Pages interface {
	Page(ctx context.Context, p id.Partition, at schema.Page) (*Page, error)
}

// PageStore loads and stores pages. A page that was stored is named by nothing until
// the head that refers to it is committed.
type PageStore interface {
	Pages
	storePage(ctx context.Context, p *Page) (schema.Page, error)
}

// tree changes a partition's manifest, copy on write.
type tree struct {
	io        PageStore
	partition id.Partition
	topic     string
}

// newTree makes the tree of a partition's manifest. topic is its name, or "".
func newTree(io PageStore, p id.Partition, topic string) *tree { return &tree{io, p, topic} }

// fold adds slices after a manifest's last. It rewrites one page of each level.
func (t *tree) fold(ctx context.Context, m schema.Manifest, add []schema.Slice) (schema.Manifest, error) {
	if len(add) == 0 {
		return m, nil
	}
	if m.Slices > 0 && m.End != add[0].Base {
		return m, fmt.Errorf("fold slice at %d behind a manifest that ends at %d: %w", add[0].Base, m.End, object.ErrInconsistent)
	}
	return t.replace(ctx, m, &run{from: m.End, to: m.End, now: add})
}

// trim drops all slices that end at or below to.
func (t *tree) trim(ctx context.Context, m schema.Manifest, to int64) (schema.Manifest, error) {
	if m.Slices == 0 || m.Base >= to {
		return m, nil
	}
	return t.replace(ctx, m, &run{from: m.Base, to: to, any: true})
}

// replace puts other slices in the place of a run, as far as the manifest holds it.
func (t *tree) replace(ctx context.Context, m schema.Manifest, r *run) (schema.Manifest, error) {
	if r.any && m.End <= r.to {
		return schema.Manifest{}, nil
	}
	p, old, err := t.spliced(ctx, m.Root, r, true)
	if err != nil {
		return m, err
	}
	if p.Level > 0 && len(p.Children) == 1 {
		return t.lower(ctx, p.Children[0], p.Level-1)
	}
	tops, err := t.writeAll(ctx, p, old, m.Root)
	for level := p.Level + 1; err == nil && len(tops) > 1; level++ {
		tops, err = t.writeAll(ctx, &Page{Level: level, Children: tops}, nil, schema.Page{})
	}
	if err != nil || len(tops) == 0 {
		return schema.Manifest{}, err
	}
	return manifestOf(tops[0]), nil
}

// lower returns the manifest whose root is a page; one with a single child is replaced by that child.
func (t *tree) lower(ctx context.Context, c Child, level uint8) (schema.Manifest, error) {
	for ; level > 0; level-- {
		p, err := t.io.Page(ctx, t.partition, c.Page)
		if err != nil {
			return schema.Manifest{}, err
		}
		if len(p.Children) > 1 {
			break
		}
		c = p.Children[0]
	}
	return manifestOf(c), nil
}

// manifestOf returns the manifest with a root.
func manifestOf(root Child) schema.Manifest {
	return schema.Manifest{Root: root.Page, Base: root.Base, End: root.End, Slices: root.Slices, Bytes: root.Bytes}
}

// spliced returns what a page lists once the run is replaced, with as many entries as that
// takes, and the page as it was. last is set for the rightmost of its level.
func (t *tree) spliced(ctx context.Context, at schema.Page, r *run, last bool) (p, old *Page, err error) {
	if at.Object.Writer == 0 || r.takeLost(at) {
		return &Page{Slices: r.place(nil)}, nil, nil
	}
	if old, err = t.io.Page(ctx, t.partition, at); err != nil {
		return nil, nil, err
	}
	p = &Page{Level: old.Level}
	if p.Level == 0 {
		if p.Slices, err = r.in(old.Slices); err == nil && last && r.appends() {
			p.Slices = r.place(p.Slices)
		}
		return p, old, err
	}
	for i := range old.Children {
		c := &old.Children[i]
		end := last && i == len(old.Children)-1
		switch {
		case r.spares(c) && !(end && r.appends()):
			p.Children = append(p.Children, *c)
		case r.any && c.End <= r.to: // all of it is dropped
		default:
			made, err := t.child(ctx, c.Page, old.Level-1, r, end)
			if err != nil {
				return nil, nil, err
			}
			p.Children = append(p.Children, made...)
		}
	}
	return p, old, nil
}

// child returns the pages of a level that stand in a page's place.
func (t *tree) child(ctx context.Context, at schema.Page, level uint8, r *run, last bool) ([]Child, error) {
	p, old, err := t.spliced(ctx, at, r, last)
	if err != nil {
		return nil, err
	}
	made, err := t.writeAll(ctx, p, old, at)
	for l := p.Level + 1; err == nil && l <= level; l++ {
		made, err = t.writeAll(ctx, &Page{Level: l, Children: made}, nil, schema.Page{})
	}
	return made, err
}

// writeAll stores what a page lists as one page or more, none if it lists nothing. One that
// is still as it was is not written again.
func (t *tree) writeAll(ctx context.Context, p, old *Page, at schema.Page) (made []Child, err error) {
	add := func(part *Page) error {
		if old != nil && slices.Equal(part.Slices, old.Slices) && slices.Equal(part.Children, old.Children) {
			made = append(made, t.known(old, at))
			return nil
		}
		c, err := t.write(ctx, part)
		made = append(made, c)
		return err
	}
	for list := range slices.Chunk(p.Slices, PageEntries) {
		if err := add(&Page{Slices: list}); err != nil {
			return nil, err
		}
	}
	for list := range slices.Chunk(p.Children, PageEntries) {
		if err := add(&Page{Level: p.Level, Children: list}); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// known is the page as it is, when nothing in it changes.
func (t *tree) known(p *Page, at schema.Page) Child {
	c := p.sum()
	c.Page = at
	return c
}

// write stores a page.
func (t *tree) write(ctx context.Context, p *Page) (c Child, err error) {
	p.Partition, p.Topic = t.partition, t.topic
	if err := p.check(); err != nil {
		return c, fmt.Errorf("write page of %v: %w", t.partition, err)
	}
	c = p.sum()
	c.Page, err = t.io.storePage(ctx, p)
	return c, err
}
