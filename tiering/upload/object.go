package upload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// upload builds an object of what was loaded and puts it into the bucket. A part
// that wasn't loaded, or is not what its journal announced, is left out, with its error; if nothing is left there is no object. An error means
// that ctx ended.
func (u *Uploader) upload(ctx context.Context, t *objectUpload) (schema.Object, error) {
	b, err := u.build(ctx, t)
	if err != nil || len(b.Slices()) == 0 {
		return schema.Object{}, err
	}
	for {
		o := u.deps.IDs.Next()
		data := b.Finish(o)
		begun := time.Now()
		err = u.put.Put(ctx, object.Key(o), data)
		if errors.Is(err, manifest.ErrTaken) {
			u.deps.IDs.Settle(o)
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
func (t *objectUpload) named(o schema.Object) {
	for _, p := range t.parts {
		p.slice.Object = o
	}
}

func (u *Uploader) stored(b *object.Builder, size int, took time.Duration) {
	kind := "bundle"
	if len(b.Slices()) == 1 {
		kind = "segment"
	}
	var raw int64
	for i := range b.Slices() {
		raw += b.Slices()[i].Bytes
	}
	u.metrics.objects.WithLabelValues(kind).Inc()
	u.metrics.slices.Add(float64(len(b.Slices())))
	u.metrics.raw.Add(float64(raw))
	u.metrics.stored.Add(float64(size))
	u.metrics.put.Observe(took.Seconds())
}

// build makes the object's slices. It fails only when ctx ended.
func (u *Uploader) build(ctx context.Context, t *objectUpload) (*object.Builder, error) {
	b := object.NewBuilder(t.buf, t.from, t.from+int(t.bytes), u.deps.Clock(), func() bool { return u.cfg.Compress && !u.behind.Load() }, u.zip)
	for _, p := range t.parts {
		if p.err != nil {
			continue // it wasn't loaded
		}
		p.slice, p.err = u.buildSlice(ctx, b, p)
		if p.err != nil {
			if ctx.Err() != nil {
				return b, ctx.Err()
			}
			b.Undo()
		}
	}
	return b, nil
}

func (u *Uploader) buildSlice(ctx context.Context, b *object.Builder, p *slicePart) (schema.Slice, error) {
	at := p.upload.source.Partition()
	b.Begin(at, u.deps.Topic(at.Topic))
	from := p.at
	for i := range p.batches {
		k := &p.batches[i]
		if err := u.pace.keep(ctx, int(k.Size)); err != nil {
			return schema.Slice{}, err
		}
		if err := b.Add(k, from); err != nil {
			return schema.Slice{}, fmt.Errorf("%v: %w", at, err)
		}
		from += int(k.Size)
	}
	return b.End(p.producers, p.aborted), nil
}
