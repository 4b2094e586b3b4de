package manifest

import (
	"context"
	"errors"
	"fmt"

	"varve/metadata/schema"
	"varve/tiering/object"
)

// PageWriter writes pages that a commit will name; a PageStore.
type PageWriter struct {
	Pages
	putter *Putter
	ids    *ObjectIDs
	made   []schema.Object
	wrote  func() // counts
}

// NewPageWriter makes a writer for one commit, which loads pages from pages. wrote is called
// after each page that was stored.
func NewPageWriter(pages Pages, put *Putter, ids *ObjectIDs, wrote func()) *PageWriter {
	return &PageWriter{Pages: pages, putter: put, ids: ids, wrote: wrote}
}

// Next returns a new name, which Settle settles with the others.
func (w *PageWriter) Next() schema.Object {
	o := w.ids.Next()
	w.made = append(w.made, o)
	return o
}

// storePage implements PageStore.
func (w *PageWriter) storePage(ctx context.Context, p *Page) (schema.Page, error) {
	b := p.encode()
	for {
		o := w.Next()
		err := w.putter.Put(ctx, object.PageKey(o), b)
		if err == nil {
			w.wrote()
			return schema.Page{Object: o, Len: int32(len(b))}, nil
		}
		if !errors.Is(err, ErrTaken) {
			return schema.Page{}, fmt.Errorf("store manifest page: %w", err)
		}
	}
}

// Settle marks the pages as committed, or as never to be committed.
func (w *PageWriter) Settle() { w.ids.Settle(w.made...) }
