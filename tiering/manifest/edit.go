package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
)

var (
	// ErrChanged: the range that an edit replaces consists of other slices by now. What was
	// made for the edit is left to garbage collection.
	ErrChanged = errors.New("the slices to be replaced have changed")
	// ErrElsewhere: the tier doesn't end where the slices to be added begin.
	ErrElsewhere = errors.New("head ends elsewhere")
)

// PagesError: pages of the manifest can't be read or written. Nothing was committed.
type PagesError struct{ Err error }

func (e *PagesError) Error() string { return e.Err.Error() }
func (e *PagesError) Unwrap() error { return e.Err }

// Edit replaces the slices of a range by others. It may be prepared for as long as it takes:
// Commit applies it to the newest head, and takes everything outside the range from there
// (docs/design/0008).
type Edit struct {
	// From and To are the offsets of the range. If they are equal, nothing is replaced.
	From, To int64
	// Was is what the range consists of, in order. Commit refuses the edit if it consists of
	// anything else by then.
	Was []schema.Slice
	// Lost are pages within the range that can't be read. What they list is not in Was.
	Lost []schema.Page
	// Now takes the place of the range, and covers it. It may be empty if all of the range is
	// below the log start. If From and To are equal it follows the end of the tier.
	Now []schema.Slice
	// Start is the log start from now on, if that is higher.
	Start int64
	// Trim is how many slices below the log start make it worth to rewrite the manifest
	// without them; 0: none do.
	Trim int64
	// Deadline ends the work on pages, but never the commit; zero: nothing does.
	Deadline time.Time
}

// tier is what a head holds of the tier.
type tier struct {
	manifest   schema.Manifest
	slices     []schema.Slice
	start, end int64
}

func tierOf(h *schema.Head) tier {
	return tier{h.Manifest, slices.Clone(h.Slices), h.LogStart, h.TieredEnd}
}

func (t *tier) same(o *tier) bool {
	return t.manifest == o.manifest && t.start == o.start && t.end == o.end && slices.Equal(t.slices, o.slices)
}

// errStale: the head changed while the edit was applied to it.
var errStale = errors.New("head changed meanwhile")

// Commit applies the edit to the newest head of a partition. It returns the heads before and
// after, which are the same if there was nothing to do.
//
// Errors: ErrChanged and ErrElsewhere, *PagesError, ErrNotOwner, and those of the metadata
// store. After the latter it isn't known whether the edit was committed.
func (e *Edit) Commit(ctx context.Context, s Owned, pages PageStore, topic string) (was, now *schema.Head, err error) {
	for {
		was = s.Head()
		before := tierOf(was)
		after, err := e.apply(ctx, before, newTree(pages, s.Partition(), topic))
		if err != nil {
			return was, was, err
		}
		if after.same(&before) {
			return was, was, nil
		}
		now = nil
		err = s.UpdateHead(ctx, func(h *schema.Head) error {
			if found := tierOf(h); !found.same(&before) {
				return errStale
			}
			h.Manifest, h.Slices, h.LogStart, h.TieredEnd = after.manifest, slices.Clone(after.slices), after.start, after.end
			now = h
			return nil
		})
		if !errors.Is(err, errStale) {
			return was, now, err
		}
	}
}

// apply returns the tier with the edit.
func (e *Edit) apply(ctx context.Context, t tier, tree *tree) (tier, error) {
	if !e.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, e.Deadline)
		defer cancel()
	}
	before := t
	t.start = max(t.start, e.Start)
	if err := e.check(&t, tree.partition); err != nil {
		return t, err
	}
	if err := e.replace(ctx, &t, tree); err != nil {
		return t, err
	}
	t.forget()
	replaced := t.manifest != before.manifest
	if err := e.count(ctx, &t, tree, replaced, t.start > before.start); err != nil {
		return t, err
	}
	return t, t.fold(ctx, tree)
}

// check refuses what doesn't fit, whatever the range consists of.
func (e *Edit) check(t *tier, p id.Partition) error {
	next := e.From
	for i := range e.Now {
		if s := &e.Now[i]; s.Base != next || s.End <= s.Base {
			return fmt.Errorf("slice at %d to %d of %v in the place of %d to %d: %w", s.Base, s.End, p, e.From, e.To, errGap)
		}
		next = e.Now[i].End
	}
	switch {
	case e.From == e.To && len(e.Now) > 0 && e.From != t.end:
		return fmt.Errorf("tier of %v ends at %d, slices begin at %d: %w", p, t.end, e.From, ErrElsewhere)
	case e.From < e.To && next != e.To && (len(e.Now) > 0 || e.To > t.start):
		return fmt.Errorf("slices up to %d of %v in the place of %d to %d: %w", next, p, e.From, e.To, errGap)
	}
	return nil
}

// errGap: an edit would leave offsets without slices.
var errGap = errors.New("slices don't follow each other")

// replace puts Now in the place of the range.
func (e *Edit) replace(ctx context.Context, t *tier, tree *tree) error {
	if e.From == e.To {
		if len(e.Now) > 0 {
			t.slices, t.end = append(t.slices, e.Now...), e.Now[len(e.Now)-1].End
		}
		return nil
	}
	r := run{from: e.From, to: e.To, was: e.Was, lost: e.Lost, now: e.Now}
	if m := &t.manifest; m.Slices > 0 && e.From < m.End {
		var err error
		if t.manifest, err = tree.replace(ctx, *m, &r); err != nil {
			return pagesError(tree.partition, err)
		}
	}
	list, err := r.in(t.slices)
	if err == nil && !r.done() {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("replace %d to %d of %v: %w", e.From, e.To, tree.partition, err)
	}
	t.slices = list
	return nil
}

func pagesError(p id.Partition, err error) error {
	if errors.Is(err, ErrChanged) {
		return fmt.Errorf("edit of %v: %w", p, err)
	}
	return &PagesError{err}
}

// forget drops what is below the log start, but for the newest slice, which remembers
// producers. A manifest loses only its whole; the rest is for Trim.
func (t *tier) forget() {
	if t.manifest.Slices > 0 && t.manifest.End <= t.start {
		t.manifest = schema.Manifest{}
	}
	if t.manifest.Slices > 0 {
		return
	}
	n := 0
	for n+1 < len(t.slices) && t.slices[n].End <= t.start {
		n++
	}
	t.slices = t.slices[n:]
}

// count computes what the manifest holds above the log start, and drops the rest of it if
// that is worth it. If only the log start moved, it is enough that the next edit counts.
func (e *Edit) count(ctx context.Context, t *tier, tree *tree, replaced, moved bool) error {
	if t.manifest.Slices == 0 || e.Trim == 0 && !replaced && !moved {
		return nil
	}
	l, err := countLive(ctx, tree.io, tree.partition, t.manifest, t.start)
	switch {
	case err != nil && e.Trim == 0 && !replaced:
		return nil
	case err != nil:
		return pagesError(tree.partition, err)
	case e.Trim == 0 || l.dead < e.Trim:
		t.manifest.Bytes = l.bytes
		return nil
	}
	if t.manifest, err = tree.trim(ctx, t.manifest, t.start); err != nil {
		return pagesError(tree.partition, err)
	}
	return nil
}

// keepInHead is how many of the newest slices stay in a head when it is folded.
const keepInHead = schema.MaxHeadSlices / 4

// fold moves slices to the manifest if the head has too many.
func (t *tier) fold(ctx context.Context, tree *tree) error {
	if len(t.slices) <= schema.MaxHeadSlices {
		return nil
	}
	n := len(t.slices) - keepInHead
	m, err := tree.fold(ctx, t.manifest, t.slices[:n])
	if err != nil {
		return pagesError(tree.partition, err)
	}
	m.Bytes = t.manifest.Bytes
	for i := range t.slices[:n] {
		if s := &t.slices[i]; s.End > t.start {
			m.Bytes += s.Bytes
		}
	}
	t.manifest, t.slices = m, t.slices[n:]
	return nil
}
