package tiering

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"varve/metadata"
)

// keepInHead is how many of the newest slices stay in a head when it is folded.
const keepInHead = metadata.MaxHeadSlices / 4

var (
	// errStale: the head changed since the commit was prepared.
	errStale = errors.New("head changed meanwhile")
	// errUnwanted: the head doesn't end where the slices begin.
	errUnwanted = errors.New("head ends elsewhere")
	// errUnfolded: the manifest's newest pages couldn't be read.
	errUnfolded = errors.New("the head is full and the manifest can't be read")
)

// foldAttempts is how often a manifest is tried to be read before the take is left to
// another round: this one, and so every other partition, waits meanwhile.
const foldAttempts = 3

// commit makes the parts of a take the newest slices of the partition's head. It
// doesn't give up before ctx ends, but for what can't be read.
func (u *Uploader) commit(ctx context.Context, t *take) outcome {
	if t.err() != nil {
		if ctx.Err() != nil {
			return stopped
		}
		return unread
	}
	// Pages of attempts that failed stay open until it is known how it ended.
	d := u.drafts()
	o := u.commitTill(ctx, t, d)
	if o != stopped {
		d.settle()
	}
	return o
}

func (u *Uploader) commitTill(ctx context.Context, t *take, d *drafts) outcome {
	sent := false // from then on the outcome has to be known
	for attempt := 0; ; attempt++ {
		err := u.commitOnce(ctx, t, d)
		unfolded := errors.Is(err, errUnfolded)
		sent = sent || !unfolded && !errors.Is(err, errStale)
		switch {
		case err == nil:
			u.put.recovered("metadata")
			return committed
		case errors.Is(err, ErrNotOwner):
			return gone
		case errors.Is(err, errUnwanted):
			u.deps.Log.Warn("uploaded records are not wanted any more", "partition", t.source.Partition(), "err", err)
			return gone
		case ctx.Err() != nil:
			return stopped
		case errors.Is(err, errStale):
			continue
		case !sent && attempt+1 >= foldAttempts:
			t.unfolded = err
			return unread
		}
		u.metrics.errors.WithLabelValues("commit").Inc()
		u.put.failing("metadata", err)
		if u.put.pause(ctx, attempt) != nil {
			return stopped
		}
	}
}

func (u *Uploader) commitOnce(ctx context.Context, t *take, d *drafts) error {
	added := make([]metadata.Slice, len(t.parts))
	for i, p := range t.parts {
		added[i] = p.slice
	}
	was := t.source.Head()
	e := edit{was: was, manifest: was.Manifest, slices: append(slices.Clone(was.Slices), added...), end: added[len(added)-1].End}
	if was.TieredEnd != added[0].Base {
		return fmt.Errorf("tier of %v ends at %d, slices begin at %d: %w", t.source.Partition(), was.TieredEnd, added[0].Base, errUnwanted)
	}
	e.forget(was.LogStart)
	if n := len(e.slices) - keepInHead; len(e.slices) > metadata.MaxHeadSlices {
		p := t.source.Partition()
		m, err := (&tree{d, p, u.deps.Topic(p.Topic)}).fold(ctx, e.manifest, e.slices[:n])
		if err != nil {
			return fmt.Errorf("%v: %w: %w", p, errUnfolded, err)
		}
		m.Bytes = e.manifest.Bytes
		for i := range e.slices[:n] {
			if s := &e.slices[i]; s.End > was.LogStart {
				m.Bytes += s.Bytes
			}
		}
		e.manifest, e.slices = m, e.slices[n:]
	}
	return e.commit(ctx, t.source)
}

// foldable says why a head that is about to be full can't be folded, if it can't: what
// failed before isn't uploaded again only to fail again.
func (u *Uploader) foldable(ctx context.Context, s Source) error {
	h := s.Head()
	if h.Manifest.Slices == 0 || len(h.Slices) <= metadata.MaxHeadSlices/2 {
		return nil
	}
	d := u.drafts()
	for at := h.Manifest.Root; ; {
		g, err := d.loadPage(ctx, s.Partition(), at)
		if err != nil {
			return fmt.Errorf("%v: %w: %w", s.Partition(), errUnfolded, err)
		}
		if g.Level == 0 {
			return nil
		}
		at = g.Children[len(g.Children)-1].Page
	}
}

func (u *Uploader) drafts() *drafts {
	return &drafts{reader: u.deps.Reader, put: u.put, names: u.deps.Names, wrote: u.metrics.pages.Inc}
}

// edit is a change of what a head says of the tier, prepared on the head as it was.
type edit struct {
	was      *metadata.Head
	manifest metadata.Manifest
	slices   []metadata.Slice
	start    int64 // the log start; lower than the head's is the head's
	end      int64
}

// forget drops what lies below the log start, but for the newest slice, which
// remembers producers. A manifest loses only its whole; the rest is for retention.
func (e *edit) forget(start int64) {
	if e.manifest.Slices > 0 && e.manifest.End <= start {
		e.manifest = metadata.Manifest{}
	}
	if e.manifest.Slices > 0 {
		return
	}
	n := 0
	for n+1 < len(e.slices) && e.slices[n].End <= start {
		n++
	}
	e.slices = e.slices[n:]
}

// commit stores the change, if the head still is as it was, else errStale.
func (e *edit) commit(ctx context.Context, s Source) error {
	return s.Commit(ctx, func(h *metadata.Head) error {
		if h.TieredEnd != e.was.TieredEnd || h.LogStart != e.was.LogStart || h.Manifest != e.was.Manifest || !slices.Equal(h.Slices, e.was.Slices) {
			return errStale
		}
		h.Manifest, h.Slices, h.TieredEnd = e.manifest, slices.Clone(e.slices), e.end
		h.LogStart = max(h.LogStart, e.start)
		return nil
	})
}
