package manifest

import (
	"context"
	"errors"
	"slices"

	"varve/metadata"
)

// ErrStale: the head changed since the edit was prepared.
var ErrStale = errors.New("head changed meanwhile")

// Edit is a change of what a head says of the tier, prepared on the head as it was.
type Edit struct {
	Was      *metadata.Head
	Manifest metadata.Manifest
	Slices   []metadata.Slice
	Start    int64 // the log start; lower than the head's is the head's
	End      int64
}

// NewEdit begins an edit of a head, which changes nothing yet.
func NewEdit(h *metadata.Head) *Edit {
	return &Edit{Was: h, Manifest: h.Manifest, Slices: slices.Clone(h.Slices), Start: h.LogStart, End: h.TieredEnd}
}

// Forget drops what lies below the log start, but for the newest slice, which
// remembers producers. A manifest loses only its whole; the rest is for retention.
func (e *Edit) Forget(start int64) {
	if e.Manifest.Slices > 0 && e.Manifest.End <= start {
		e.Manifest = metadata.Manifest{}
	}
	if e.Manifest.Slices > 0 {
		return
	}
	n := 0
	for n+1 < len(e.Slices) && e.Slices[n].End <= start {
		n++
	}
	e.Slices = e.Slices[n:]
}

// Commit stores the change, if the head still is as it was, else ErrStale.
func (e *Edit) Commit(ctx context.Context, s Owned) error {
	return s.Commit(ctx, func(h *metadata.Head) error {
		if h.TieredEnd != e.Was.TieredEnd || h.LogStart != e.Was.LogStart || h.Manifest != e.Was.Manifest || !slices.Equal(h.Slices, e.Was.Slices) {
			return ErrStale
		}
		h.Manifest, h.Slices, h.TieredEnd = e.Manifest, slices.Clone(e.Slices), e.End
		h.LogStart = max(h.LogStart, e.Start)
		return nil
	})
}
