package tiering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata"
)

// upload builds an object of what was loaded and puts it into the bucket. A part
// that wasn't loaded, or is not what its journal announced, is left out, with its error; if nothing is left there is no object. An error means
// that ctx ended.
func (u *Uploader) upload(ctx context.Context, t *task) (metadata.Object, error) {
	b, err := u.build(ctx, t)
	if err != nil || len(b.footer.Slices) == 0 {
		return metadata.Object{}, err
	}
	for {
		o := u.deps.Names.Next()
		data := b.finish(o)
		begun := time.Now()
		err = u.put.put(ctx, ObjectKey(o), data)
		if errors.Is(err, errTaken) {
			u.deps.Names.Settle(o)
			u.deps.Log.Error("an object has a name that only this incarnation may use; another is taken", "err", err)
			continue
		}
		if err == nil {
			u.stored(b, len(data), time.Since(begun))
		}
		t.named(o)
		return o, err
	}
}

// named tells the parts under which name they were stored.
func (t *task) named(o metadata.Object) {
	for _, p := range t.parts {
		p.slice.Object = o
	}
}

func (u *Uploader) stored(b *builder, size int, took time.Duration) {
	kind := "bundle"
	if len(b.footer.Slices) == 1 {
		kind = "segment"
	}
	var raw int64
	for i := range b.footer.Slices {
		raw += b.footer.Slices[i].Bytes
	}
	u.metrics.objects.WithLabelValues(kind).Inc()
	u.metrics.slices.Add(float64(len(b.footer.Slices)))
	u.metrics.raw.Add(float64(raw))
	u.metrics.stored.Add(float64(size))
	u.metrics.put.Observe(took.Seconds())
}

// build makes the object's slices. It fails only when ctx ended.
func (u *Uploader) build(ctx context.Context, t *task) (*builder, error) {
	b := newBuilder(t.buf, t.free, u.deps.Clock(), func() bool { return u.cfg.Compress && !u.behind.Load() }, u.zip)
	for _, p := range t.parts {
		if p.err != nil {
			continue // it wasn't loaded
		}
		from := len(b.buf)
		p.slice, p.err = u.buildSlice(ctx, b, p)
		if p.err != nil {
			if ctx.Err() != nil {
				return b, ctx.Err()
			}
			b.undo(from)
		}
	}
	return b, nil
}

func (u *Uploader) buildSlice(ctx context.Context, b *builder, p *part) (metadata.Slice, error) {
	at := p.take.source.Partition()
	b.begin(at, u.deps.Topic(at.Topic))
	from := p.at
	for i := range p.batches {
		k := &p.batches[i]
		if err := u.keepPace(ctx, int(k.Size)); err != nil {
			return metadata.Slice{}, err
		}
		if err := b.add(k, from); err != nil {
			return metadata.Slice{}, fmt.Errorf("%v: %w", at, err)
		}
		from += int(k.Size)
	}
	return b.end(p.producers, p.aborted), nil
}
