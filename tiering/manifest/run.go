package manifest

import (
	"slices"

	"varve/metadata/schema"
)

// run is a run of slices that is replaced, in the manifest and the head.
type run struct {
	from, to int64 // offsets; equal: now follows the last slice of all
	any      bool  // whatever it consists of, by whole slices
	was      []schema.Slice
	lost     []schema.Page
	now      []schema.Slice // nil when it has its place
}

// in returns a list of slices with the run replaced, as far as the list holds it.
func (r *run) in(list []schema.Slice) ([]schema.Slice, error) {
	out := make([]schema.Slice, 0, len(list)+len(r.now))
	for i := range list {
		s := &list[i]
		switch {
		case s.End <= r.from || s.Base >= r.to || r.any && s.End > r.to:
			out = append(out, *s)
		case r.any:
		case len(r.was) == 0 || r.was[0] != *s:
			return nil, ErrChanged
		default:
			r.was = r.was[1:]
			out = r.place(out)
		}
	}
	return out, nil
}

// place appends what takes the run's place, once.
func (r *run) place(list []schema.Slice) []schema.Slice {
	list = append(list, r.now...)
	r.now = nil
	return list
}

// spares reports whether nothing below a page changes.
func (r *run) spares(c *Child) bool { return c.End <= r.from || c.Base >= r.to }

func (r *run) appends() bool { return r.from == r.to }

// takeLost reports whether a page is one of those that can't be read.
func (r *run) takeLost(at schema.Page) bool {
	i := slices.Index(r.lost, at)
	if i < 0 {
		return false
	}
	r.lost = slices.Delete(slices.Clone(r.lost), i, i+1)
	return true
}

// done reports whether all of the run was met.
func (r *run) done() bool { return len(r.was) == 0 && len(r.lost) == 0 && len(r.now) == 0 }
