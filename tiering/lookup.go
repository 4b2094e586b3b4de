package tiering

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"varve/internal/id"
	"varve/metadata"
)

// small reads a part of an object, or a page, that is decoded and cached as such.
func (r *Reader) small(ctx context.Context, key string, at int64, n int32) (*buffer, error) {
	if n <= 0 || n > maxSealedBytes {
		return nil, &CorruptError{key, at, fmt.Errorf("length %d is out of bounds", n)}
	}
	b, err := r.fetch.read(ctx, key, at, r.memory.force(int(n)))
	if err != nil {
		return nil, err
	}
	if len(b.b) < int(n) {
		short := len(b.b)
		b.release()
		return nil, &CorruptError{key, at, fmt.Errorf("the object ends behind %d bytes of %d", short, n)}
	}
	return b, nil
}

// index gives a slice's index. That of a small slice comes with the chunk in which
// its blocks are, and which will be wanted next.
func (r *Reader) index(ctx context.Context, s *metadata.Slice) (*Index, error) {
	v, err := r.meta.get(ctx, cacheKey{kindIndex, s.Object, s.IndexAt}, nil, func(ctx context.Context) (any, int64, error) {
		x, err := r.loadIndex(ctx, s)
		if err != nil {
			return nil, 0, err
		}
		return x, int64(256 + len(x.Blocks)*56 + len(x.Aborted)*24 + len(x.Epochs)*16), nil
	})
	if err != nil {
		return nil, err
	}
	x := v.(*Index)
	if x.Base != s.Base || x.End != s.End {
		return nil, &CorruptError{ObjectKey(s.Object), s.IndexAt, fmt.Errorf("index of %d to %d, want %d to %d", x.Base, x.End, s.Base, s.End)}
	}
	return x, nil
}

func (r *Reader) loadIndex(ctx context.Context, s *metadata.Slice) (x *Index, err error) {
	key := ObjectKey(s.Object)
	if s.IndexLen > 0 && s.Bytes+int64(s.IndexLen) <= int64(r.cfg.ChunkBytes) {
		p := make([]byte, s.IndexLen)
		if err := r.gather(ctx, s.Object, s.IndexAt, p, true); err != nil {
			return nil, err
		}
		if x, err = decodeIndex(p, s.IndexAt); err == nil {
			return x, nil
		}
		r.forget(s.Object, s.IndexAt, int64(s.IndexLen))
	}
	err = r.decoded(ctx, key, s.IndexAt, s.IndexLen, func(p []byte) error {
		x, err = decodeIndex(p, s.IndexAt)
		return err
	})
	return x, err
}

// decoded reads bytes and decodes them, once more if they prove wrong.
func (r *Reader) decoded(ctx context.Context, key string, at int64, n int32, decode func([]byte) error) error {
	var bad error
	for range 2 {
		b, err := r.small(ctx, key, at, n)
		if err != nil {
			return err
		}
		bad = decode(b.b)
		b.release()
		if bad == nil {
			return nil
		}
	}
	r.metrics.corrupt.Inc()
	return &CorruptError{key, at, bad}
}

// state gives the producers of a slice that has a state.
func (r *Reader) state(ctx context.Context, o metadata.Object, x *Index) ([]Producer, error) {
	v, err := r.meta.get(ctx, cacheKey{kindState, o, x.StateAt}, nil, func(ctx context.Context) (any, int64, error) {
		var producers []Producer
		err := r.decoded(ctx, ObjectKey(o), x.StateAt, x.StateLen, func(p []byte) (err error) {
			producers, err = decodeState(p)
			return err
		})
		return producers, int64(64 + 160*len(producers)), err
	})
	if err != nil {
		return nil, err
	}
	return v.([]Producer), nil
}

// loadPage implements pageIO.
func (r *Reader) loadPage(ctx context.Context, p id.Partition, at metadata.Page) (*page, error) {
	v, err := r.meta.get(ctx, cacheKey{kindPage, at.Object, 0}, nil, func(ctx context.Context) (any, int64, error) {
		var g *page
		err := r.decoded(ctx, PageKey(at.Object), 0, at.Len, func(b []byte) (err error) {
			g, err = decodePage(b)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		return g, int64(256 + 96*len(g.Slices) + 96*len(g.Children)), nil
	})
	if err != nil {
		return nil, err
	}
	g := v.(*page)
	if g.Partition != p {
		return nil, &CorruptError{PageKey(at.Object), 0, fmt.Errorf("page of %v, want %v", g.Partition, p)}
	}
	return g, nil
}

var errNoSlice = errors.New("no slice covers the offset")

// locate gives the slice that holds an offset and some of those behind it.
func (r *Reader) locate(ctx context.Context, h *metadata.Head, p id.Partition, offset int64) ([]metadata.Slice, error) {
	run := h.Slices
	if m := &h.Manifest; m.Slices > 0 && offset < m.End {
		leaf, err := r.leaf(ctx, p, m, offset)
		if err != nil {
			return nil, err
		}
		run = leaf.Slices
	}
	i := sort.Search(len(run), func(i int) bool { return run[i].End > offset })
	if i == len(run) || run[i].Base > offset {
		return nil, fmt.Errorf("%v at %d: %w", p, offset, errNoSlice)
	}
	return run[i:], nil
}

func (r *Reader) leaf(ctx context.Context, p id.Partition, m *metadata.Manifest, offset int64) (*page, error) {
	at, from, to := m.Root, m.Base, m.End
	for range maxLevel + 1 {
		g, err := r.loadPage(ctx, p, at)
		if err != nil || g.Level == 0 {
			return g, hole(p, from, to, PageKey(at.Object), err)
		}
		i := sort.Search(len(g.Children), func(i int) bool { return g.Children[i].End > offset })
		if i == len(g.Children) {
			return nil, &CorruptError{PageKey(at.Object), 0, fmt.Errorf("offset %d: %w", offset, errNoSlice)}
		}
		at, from, to = g.Children[i].Page, g.Children[i].Base, g.Children[i].End
	}
	return nil, &CorruptError{PageKey(at.Object), 0, errors.New("the manifest is too deep")}
}
