package read

import (
	"context"
	"fmt"

	"varve/internal/id"
	"varve/metadata"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// small reads a part of an object, or a page, that is decoded and cached as such.
func (r *Reader) small(ctx context.Context, key string, at int64, n int32) (*buffer, error) {
	if n <= 0 || n > object.MaxSealedBytes {
		return nil, &object.CorruptError{Key: key, At: at, Err: fmt.Errorf("length %d is out of bounds", n)}
	}
	b, err := r.fetch.read(ctx, key, at, r.memory.force(int(n)))
	if err != nil {
		return nil, err
	}
	if len(b.b) < int(n) {
		short := len(b.b)
		b.release()
		return nil, &object.CorruptError{Key: key, At: at, Err: fmt.Errorf("the object ends behind %d bytes of %d", short, n)}
	}
	return b, nil
}

// index gives a slice's index. That of a small slice comes with the chunk in which
// its blocks are, and which will be wanted next.
func (r *Reader) index(ctx context.Context, s *metadata.Slice) (*object.Index, error) {
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
	x := v.(*object.Index)
	if x.Base != s.Base || x.End != s.End {
		return nil, &object.CorruptError{Key: object.Key(s.Object), At: s.IndexAt, Err: fmt.Errorf("index of %d to %d, want %d to %d", x.Base, x.End, s.Base, s.End)}
	}
	return x, nil
}

func (r *Reader) loadIndex(ctx context.Context, s *metadata.Slice) (x *object.Index, err error) {
	key := object.Key(s.Object)
	if s.IndexLen > 0 && s.Bytes+int64(s.IndexLen) <= int64(r.cfg.ChunkBytes) {
		p := make([]byte, s.IndexLen)
		if err := r.gather(ctx, s.Object, s.IndexAt, p, true); err != nil {
			return nil, err
		}
		if x, err = object.DecodeIndex(p, s.IndexAt); err == nil {
			return x, nil
		}
		r.forget(s.Object, s.IndexAt, int64(s.IndexLen))
	}
	err = r.decoded(ctx, key, s.IndexAt, s.IndexLen, func(p []byte) error {
		x, err = object.DecodeIndex(p, s.IndexAt)
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
	return &object.CorruptError{Key: key, At: at, Err: bad}
}

// state gives the producers of a slice that has a state.
func (r *Reader) state(ctx context.Context, o metadata.Object, x *object.Index) ([]object.Producer, error) {
	v, err := r.meta.get(ctx, cacheKey{kindState, o, x.StateAt}, nil, func(ctx context.Context) (any, int64, error) {
		var producers []object.Producer
		err := r.decoded(ctx, object.Key(o), x.StateAt, x.StateLen, func(p []byte) (err error) {
			producers, err = object.DecodeState(p)
			return err
		})
		return producers, int64(64 + 160*len(producers)), err
	})
	if err != nil {
		return nil, err
	}
	return v.([]object.Producer), nil
}

// Page returns a page of a partition's manifest. It implements Pages.
func (r *Reader) Page(ctx context.Context, p id.Partition, at metadata.Page) (*manifest.Page, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	v, err := r.meta.get(ctx, cacheKey{kindPage, at.Object, 0}, nil, func(ctx context.Context) (any, int64, error) {
		var g *manifest.Page
		err := r.decoded(ctx, object.PageKey(at.Object), 0, at.Len, func(b []byte) (err error) {
			g, err = manifest.DecodePage(b)
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
	g := v.(*manifest.Page)
	if g.Partition != p {
		return nil, &object.CorruptError{Key: object.PageKey(at.Object), At: 0, Err: fmt.Errorf("page of %v, want %v", g.Partition, p)}
	}
	return g, nil
}
