package read

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// copyBelow is the size up to which a piece is copied instead of lent: a whole
// chunk would be held for it.
const copyBelow = 16 << 10

// Data is what a read found: whole batches, in order, in pieces that may be shared
// with the cache and must not be changed. It must be released, once.
type Data struct {
	Pieces [][]byte
	Bytes  int
	Next   int64 // the offset after the last batch; where nothing was found, the one asked for
	lent   []*buffer
}

// Release returns the memory.
func (d *Data) Release() {
	for _, b := range d.lent {
		b.home.takeBack(b)
	}
	d.lent, d.Pieces, d.Bytes = nil, nil, 0
}

// leastShare is the least that Share returns.
const leastShare = 64 << 10

// Share is how many bytes one answer should ask for by now. Answers hold memory until
// their clients have taken them: the more is held already, the less.
func (r *Reader) Share() int { return max(leastShare, r.parts.memory.share()) }

// Read returns the batches from the one that holds offset on, at most limit bytes but
// at least one batch, as they were produced. It crosses slices. Where memory is
// short it returns less rather than wait, as long as it has something.
//
// Errors: ErrBelowStart, ErrBeyondTier, *HoleError, or of the store. A hole may be none by a
// newer head.
func (r *Reader) Read(ctx context.Context, h *schema.Head, p id.Partition, offset int64, limit int) (Data, error) {
	d := Data{Next: offset}
	if err := r.enter(); err != nil {
		return d, err
	}
	defer r.leave()
	switch {
	case offset < h.LogStart:
		return d, fmt.Errorf("%v at %d, starts at %d: %w", p, offset, h.LogStart, ErrBelowStart)
	case offset >= h.TieredEnd:
		return d, fmt.Errorf("%v at %d, tier ends at %d: %w", p, offset, h.TieredEnd, ErrBeyondTier)
	}
	if err := r.fill(ctx, &d, h, p, limit); err != nil && d.Bytes == 0 {
		d.Release()
		return Data{Next: offset}, fmt.Errorf("read %v at %d: %w", p, offset, err)
	}
	r.metrics.served.Add(float64(d.Bytes))
	r.follow(h, p, offset, d.Next)
	return d, nil
}

// errFull ends a read that has enough.
var errFull = errors.New("enough was read")

func (r *Reader) fill(ctx context.Context, d *Data, h *schema.Head, p id.Partition, limit int) error {
	for d.Next < h.TieredEnd && (d.Bytes == 0 || d.Bytes < limit) {
		run, err := manifest.Locate(ctx, r, h, p, d.Next)
		if err != nil {
			return err
		}
		for i := range run {
			s := &run[i]
			if err := r.fillSlice(ctx, d, s, limit); err != nil {
				if err == errFull {
					return nil
				}
				return object.WrapHole(p, s.Base, s.End, object.Key(s.Object), err)
			}
		}
	}
	return nil
}

func (r *Reader) fillSlice(ctx context.Context, d *Data, s *schema.Slice, limit int) error {
	x, err := r.parts.index(ctx, s)
	if err != nil {
		return err
	}
	blocks := x.From(d.Next)
	r.want(s.Object, blocks, int64(limit-d.Bytes))
	for i := range blocks {
		k := &blocks[i]
		p, b, err := r.parts.block(ctx, s.Object, k, d.Bytes == 0)
		if err != nil {
			if !errors.Is(err, object.ErrGone) { // the rest of the object may be readable
				err = object.WrapHole(x.Partition, k.Base, k.End, object.Key(s.Object), err)
			}
			return err
		}
		err = d.take(p, b, k, limit)
		b.release()
		if d.Next >= k.End {
			r.parts.finished(s.Object, k, i == len(blocks)-1)
		}
		if err != nil {
			return r.explain(err, s.Object, k)
		}
		if d.Bytes >= limit {
			return errFull
		}
	}
	d.Next = s.End // behind the last batch may be offsets that compaction removed
	return nil
}

func (r *Reader) explain(err error, o schema.Object, k *object.Block) error {
	if err == errFull || err == ErrBusy {
		return err
	}
	return &object.CorruptError{Key: object.Key(o), At: k.At, Err: err}
}

// want starts to load the chunks that limit bytes of these blocks are in, if memory
// is free, so that they come side by side.
func (r *Reader) want(o schema.Object, blocks []object.Block, limit int64) {
	for i := 0; i < len(blocks) && limit > 0; i++ {
		r.parts.prefetch(o, &blocks[i])
		limit -= int64(blocks[i].Raw)
	}
}

// take adds what is asked of a block; errFull if that isn't all of it.
func (d *Data) take(p []byte, b *buffer, k *object.Block, limit int) error {
	from := 0
	if d.Next > k.Base {
		for from < len(p) {
			batch, _, err := kafka.Next(p[from:])
			if err != nil {
				return err
			}
			if batch.NextOffset() > d.Next {
				break
			}
			from += len(batch)
		}
	}
	if d.Bytes+len(p)-from <= limit && d.lend(p[from:], b, limit, false) {
		d.Next = k.End
		return nil
	}
	return d.takeSome(p[from:], b, limit)
}

// takeSome adds as many batches as fit, at least one if there are none yet; ErrBusy if there
// is no memory for that one.
func (d *Data) takeSome(p []byte, b *buffer, limit int) error {
	n, next, err := d.fitting(p, limit)
	if err == nil && !d.lend(p[:n], b, limit, false) {
		if d.Bytes > 0 {
			return errFull
		}
		if n, next, err = d.fitting(p, 1); err == nil && !d.lend(p[:n], b, n, true) {
			return ErrBusy
		}
	}
	if err != nil {
		return err
	}
	if n > 0 {
		d.Next = next
	}
	return errFull
}

// fitting returns the size of the first batches that fit, one at least if there are none yet,
// and the offset after them.
func (d *Data) fitting(p []byte, limit int) (n int, next int64, err error) {
	next = d.Next
	for n < len(p) {
		batch, _, err := kafka.Next(p[n:])
		if err != nil {
			return 0, 0, err
		}
		if batch.NextOffset() <= next {
			return 0, 0, fmt.Errorf("batch up to %d behind offset %d: %w", batch.NextOffset(), next, kafka.ErrCorrupt)
		}
		if d.Bytes+n+len(batch) > limit && d.Bytes+n > 0 {
			break
		}
		n, next = n+len(batch), batch.NextOffset()
	}
	return n, next, nil
}

// lend adds a piece of a buffer: itself, or a copy where little is to be taken of it or
// much is lent. What is neither lent nor counted is little (leastShare). It reports false if
// there is no memory for the piece; for one that the answer must have, room is kept.
func (d *Data) lend(p []byte, b *buffer, limit int, must bool) bool {
	if len(p) == 0 {
		return true
	}
	if len(p) < copyBelow {
		d.Bytes += len(p)
		d.Pieces = append(d.Pieces, append([]byte(nil), p...))
		return true
	}
	if n := len(d.lent); n > 0 && d.lent[n-1] == b {
		if last := d.Pieces[len(d.Pieces)-1]; cap(last) > len(last) && &last[:len(last)+1][len(last)] == &p[0] {
			d.Bytes += len(p)
			d.Pieces[len(d.Pieces)-1] = last[:len(last)+len(p)]
			return true
		}
	}
	if b.home.lend(b, max(limit-d.Bytes, len(p))) {
		d.lent = append(d.lent, b)
	} else if own := b.home.lendCopy(p, must); own != nil {
		d.lent = append(d.lent, own)
		p = own.b
	} else if len(p) <= leastShare {
		p = append([]byte(nil), p...)
	} else {
		return false
	}
	d.Bytes += len(p)
	d.Pieces = append(d.Pieces, p)
	return true
}
