package read

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// lookAtOnce is how many objects are asked for at a time, and lookAgain after how long one
// that isn't there is asked for again: a proxy's 404 is no proof.
const (
	lookAtOnce = 32
	lookAgain  = 250 * time.Millisecond
)

// Looker asks the bucket for every object that heads and manifests name, each once. It
// reads manifests, and of objects with records only how large they are.
type Looker struct {
	r *Reader

	mu    sync.Mutex
	sizes map[schema.Object]int64 // -1: it is gone
}

// NewLooker makes one for one look at the whole.
func (r *Reader) NewLooker() *Looker {
	return &Looker{r: r, sizes: map[schema.Object]int64{}}
}

// Look goes through a partition. It tells of each slice that was looked at, and of what
// can't be read; both calls come from several goroutines.
func (l *Looker) Look(ctx context.Context, h *schema.Head, p id.Partition, looked func(slices int64), found func(*object.HoleError)) error {
	if err := l.r.enter(); err != nil {
		return err
	}
	defer l.r.leave()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookAtOnce)
	ask := func(list []schema.Slice) {
		for _, s := range list {
			g.Go(func() error {
				defer looked(1)
				if s.End <= h.LogStart {
					return nil
				}
				return l.slice(ctx, h, p, &s, found)
			})
		}
	}
	if m := &h.Manifest; m.Slices > 0 && m.End > h.LogStart {
		if err := l.page(ctx, h, p, manifest.Child{Page: m.Root, Span: manifest.Span{Base: m.Base, End: m.End}, Slices: m.Slices}, ask, looked, found); err != nil {
			return errors.Join(err, g.Wait())
		}
	} else {
		looked(m.Slices)
	}
	ask(h.Slices)
	return g.Wait()
}

func (l *Looker) page(ctx context.Context, h *schema.Head, p id.Partition, c manifest.Child, ask func([]schema.Slice), looked func(int64), found func(*object.HoleError)) error {
	if c.End <= h.LogStart {
		looked(c.Slices)
		return nil
	}
	g, err := l.r.Page(ctx, p, c.Page)
	if object.Unreadable(err) {
		found(&object.HoleError{Partition: p, From: max(c.Base, h.LogStart), To: c.End, Key: object.PageKey(c.Object), Err: err})
		looked(c.Slices)
		return nil
	}
	if err != nil {
		return err
	}
	for i := range g.Children {
		if err := l.page(ctx, h, p, g.Children[i], ask, looked, found); err != nil {
			return err
		}
	}
	ask(g.Slices)
	return nil
}

func (l *Looker) slice(ctx context.Context, h *schema.Head, p id.Partition, s *schema.Slice, found func(*object.HoleError)) error {
	size, err := l.size(ctx, s.Object)
	key, end := object.Key(s.Object), s.IndexAt+int64(s.IndexLen)
	switch {
	case err != nil:
		return err
	case size < 0:
		err = object.ErrGone
	case size < end:
		err = &object.CorruptError{Key: key, At: size, Err: fmt.Errorf("the object has %d bytes, and an index that ends at %d", size, end)}
	default:
		return nil
	}
	found(&object.HoleError{Partition: p, From: max(s.Base, h.LogStart), To: s.End, Key: key, Err: err})
	return nil
}

func (l *Looker) size(ctx context.Context, o schema.Object) (int64, error) {
	l.mu.Lock()
	size, known := l.sizes[o]
	l.mu.Unlock()
	if known {
		return size, nil
	}
	size, err := l.r.size(ctx, o)
	if errors.Is(err, object.ErrGone) {
		size, err = -1, nil
	}
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.sizes[o] = size
	l.mu.Unlock()
	return size, nil
}

// size asks how large an object is, twice if it isn't there: ErrGone.
func (r *Reader) size(ctx context.Context, o schema.Object) (int64, error) {
	for again := false; ; again = true {
		found, err := r.store.Head(ctx, object.Key(o))
		switch {
		case err == nil:
			return found.Size, nil
		case !errors.Is(err, s3store.ErrNotFound):
			return 0, err
		case again:
			return 0, fmt.Errorf("%w: %w", object.ErrGone, err)
		}
		if err := backoff.Sleep(ctx, lookAgain); err != nil {
			return 0, err
		}
	}
}
