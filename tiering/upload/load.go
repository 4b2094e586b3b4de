package upload

import (
	"container/heap"
	"context"
	"fmt"

	"varve/tiering/object"
)

// load reads the batches of all uploads into the uploader's room, in the order in which
// they are in the journals: consumers' and producers' disk sees one sequential reader,
// however many partitions there are. A part that can't be read gets its error. An
// error means that ctx ended.
func (u *Uploader) load(ctx context.Context, uploads []objectUpload) error {
	u.divide(uploads)
	var readers partReaders
	for i := range uploads {
		for _, p := range uploads[i].parts {
			readers = append(readers, &partReader{part: p, buf: uploads[i].buf[p.at:]})
		}
	}
	heap.Init(&readers)
	for len(readers) > 0 {
		r := readers[0]
		b := &r.part.batches[r.next]
		if err := u.pace.keep(ctx, int(b.Size)); err != nil {
			return err
		}
		if u.deps.Hurry() {
			u.pace.set(u.waiting.Load(), true)
		}
		if err := r.part.upload.source.Read(ctx, *b, r.buf[:b.Size]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.part.err = fmt.Errorf("%v: read batch at offset %d: %w", r.part.upload.source.Partition(), b.Base, err)
		}
		r.buf = r.buf[b.Size:]
		if r.next++; r.next == len(r.part.batches) || r.part.err != nil {
			heap.Pop(&readers)
		} else {
			heap.Fix(&readers, 0)
		}
	}
	return nil
}

// divide allots the room to the objects, and gives each part its place in it.
func (u *Uploader) divide(uploads []objectUpload) {
	var total int
	for i := range uploads {
		t := &uploads[i]
		total += t.room()
	}
	rest := u.rooms.take(total, int(u.passBytes()+u.passBytes()/8))
	for i := range uploads {
		t := &uploads[i]
		n := t.room()
		t.buf, rest = rest[:n:n], rest[n:]
		// Batches of several partitions have to move, since each slice gets an index. Those
		// of one are where they stay, unless they are compressed.
		t.from = object.HeaderBytes
		if len(t.parts) > 1 {
			t.from = t.overhead()
		}
		at := t.from
		for _, p := range t.parts {
			p.at = at
			at += int(p.bytes)
		}
	}
}

// room is what an object takes while it is built.
func (t *objectUpload) room() int { return wholeBlocks(t.overhead() + int(t.bytes)) }

// overhead is more than what an object takes beyond its batches, in any case that
// is likely; an object that takes yet more is moved to a buffer of its own.
func (t *objectUpload) overhead() int {
	n := 4 << 10
	for _, p := range t.parts {
		n += 1024 + 128*len(p.producers) + 32*len(p.aborted) + 64*(2+2*int(p.bytes)/object.BlockBytes)
	}
	return n
}

// partReader is how far a part has been loaded.
type partReader struct {
	part *slicePart
	next int    // index of the next batch
	buf  []byte // where it goes
}

func (r *partReader) location() object.Location { return r.part.batches[r.next].Location }

// partReaders is a heap (container/heap): the reader whose next batch is first.
type partReaders []*partReader

func (h partReaders) Len() int           { return len(h) }
func (h partReaders) Less(i, j int) bool { return h[i].location().Compare(h[j].location()) < 0 }
func (h partReaders) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *partReaders) Push(x any)        { *h = append(*h, x.(*partReader)) }
func (h *partReaders) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
