package upload

import (
	"context"
	"errors"
	"fmt"

	"varve/metadata/schema"
	"varve/tiering/manifest"
)

// errUnfolded: the manifest's newest pages couldn't be read.
var errUnfolded = errors.New("the head is full and the manifest can't be read")

// foldAttempts is how often a manifest is tried to be read before the upload is left to
// another pass: this one, and so every other partition, waits meanwhile.
const foldAttempts = 3

// commit makes the parts of an upload the newest slices of the partition's head. It
// doesn't give up before ctx ends, but for what can't be read.
func (u *Uploader) commit(ctx context.Context, t *partitionUpload) outcome {
	if t.err() != nil {
		if ctx.Err() != nil {
			return stopped
		}
		return unread
	}
	// Pages of attempts that failed stay open until it is known how it ended.
	d := u.pageWriter()
	o := u.commitTill(ctx, t, d)
	if o != stopped {
		d.Settle()
	}
	return o
}

func (u *Uploader) commitTill(ctx context.Context, t *partitionUpload, d *manifest.PageWriter) outcome {
	sent := false // from then on the outcome has to be known
	for attempt := 0; ; attempt++ {
		err := u.commitOnce(ctx, t, d)
		unfolded := errors.Is(err, errUnfolded)
		sent = sent || !unfolded
		switch {
		case err == nil:
			u.put.Recovered("metadata")
			return committed
		case errors.Is(err, manifest.ErrNotOwner):
			return gone
		case errors.Is(err, manifest.ErrElsewhere):
			u.deps.Log.Warn("uploaded records are not wanted any more", "partition", t.source.Partition(), "err", err)
			return gone
		case ctx.Err() != nil:
			return stopped
		case !sent && attempt+1 >= foldAttempts:
			t.unfolded = err
			return unread
		}
		u.metrics.errors.WithLabelValues("commit").Inc()
		u.put.Failing("metadata", err)
		if u.put.Pause(ctx, attempt) != nil {
			return stopped
		}
	}
}

func (u *Uploader) commitOnce(ctx context.Context, t *partitionUpload, d *manifest.PageWriter) error {
	added := make([]schema.Slice, len(t.parts))
	for i, p := range t.parts {
		added[i] = p.slice
	}
	p := t.source.Partition()
	e := manifest.Edit{From: added[0].Base, To: added[0].Base, Now: added}
	_, _, err := e.Commit(ctx, t.source, d, u.deps.Topic(p.Topic))
	var pages *manifest.PagesError
	if errors.As(err, &pages) {
		return fmt.Errorf("%v: %w: %w", p, errUnfolded, err)
	}
	return err
}

// foldable returns why a head that is about to be full can't be folded, if it can't: what
// failed before isn't uploaded again only to fail again.
func (u *Uploader) foldable(ctx context.Context, s Source) error {
	h := s.Head()
	if h.Manifest.Slices == 0 || len(h.Slices) <= schema.MaxHeadSlices/2 {
		return nil
	}
	d := u.pageWriter()
	for at := h.Manifest.Root; ; {
		g, err := d.Page(ctx, s.Partition(), at)
		if err != nil {
			return fmt.Errorf("%v: %w: %w", s.Partition(), errUnfolded, err)
		}
		if g.Level == 0 {
			return nil
		}
		at = g.Children[len(g.Children)-1].Page
	}
}

func (u *Uploader) pageWriter() *manifest.PageWriter {
	return manifest.NewPageWriter(u.deps.Pages, u.put, u.deps.IDs, u.metrics.pages.Inc)
}
