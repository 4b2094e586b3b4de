package tiering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata"
)

// upload builds an object and puts it into the bucket. A part whose source fails is
// left out, with its error; if nothing is left there is no object. An error means
// that ctx ended.
func (u *Uploader) upload(ctx context.Context, t *task) (metadata.Object, error) {
	room := t.bytes + 64<<10
	for _, p := range t.parts {
		room += 1024 + 64*int64(len(p.producers)) + 64*p.bytes/BlockBytes
	}
	buf := u.buffer(room)
	for {
		o := u.deps.Names.Next()
		b, err := u.build(ctx, t, o, buf)
		buf = b.buf
		if err != nil || len(b.footer.Slices) == 0 {
			u.deps.Names.Settle(o)
			u.buffers.Put(&buf)
			return metadata.Object{}, err
		}
		data := b.finish()
		buf = b.buf
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
		u.buffers.Put(&buf)
		return o, err
	}
}

// buffer gives a buffer with that much room, an old one if there is one.
func (u *Uploader) buffer(room int64) []byte {
	if b, ok := u.buffers.Get().(*[]byte); ok && int64(cap(*b)) >= room {
		return *b
	}
	return make([]byte, 0, room)
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
func (u *Uploader) build(ctx context.Context, t *task, o metadata.Object, buf []byte) (*builder, error) {
	b := newBuilder(buf, o, u.deps.Clock(), func() bool { return u.cfg.Compress && !u.behind.Load() }, u.zip)
	for _, p := range t.parts {
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
	source := p.take.source
	at := source.Partition()
	b.begin(at, u.deps.Topic(at.Topic))
	if u.deps.Hurry() {
		u.setPace(u.waiting.Load(), true)
	}
	for i := range p.batches {
		k := &p.batches[i]
		if err := u.keepPace(ctx, int(k.Size)); err != nil {
			return metadata.Slice{}, err
		}
		if err := b.add(k, func(buf []byte) error { return source.Read(ctx, *k, buf) }); err != nil {
			return metadata.Slice{}, fmt.Errorf("%v: %w", at, err)
		}
	}
	return b.end(p.producers, p.aborted), nil
}
