package object

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
)

// Builder makes an object in the very buffer that its batches were loaded into:
// they are compressed and moved to the front one after another.
type Builder struct {
	buf      []byte // the object so far
	room     []byte // the whole buffer; what follows buf may not have been added yet
	loaded   int    // where in room the last batch ends
	footer   Footer
	compress func() bool // asked for each block
	zip      *zstd.Encoder

	// Of the slice that is being built.
	from    int // where it begins in buf
	index   Index
	block   Block // open one; Raw is 0 if none is
	plain   int   // bytes of it whose producer didn't compress
	scratch []byte
}

// HeaderBytes is the size of what an object begins with. The first batch is after it.
const HeaderBytes = 16

// NewBuilder begins an object at the front of room, in which batches were loaded
// from one place to another; the rest of room is free. compress reports whether
// blocks may be compressed now.
func NewBuilder(room []byte, from, to int, created int64, compress func() bool, zip *zstd.Encoder) *Builder {
	return &Builder{buf: appendHeader(room[:0:from]), room: room, loaded: to, footer: Footer{Created: created}, compress: compress, zip: zip}
}

// Begin begins a slice.
func (b *Builder) Begin(p id.Partition, topic string) {
	b.from = len(b.buf)
	b.index = Index{Partition: p, Topic: topic, MinTime: -1, MaxTime: -1}
}

// Add moves the batch that is at a place of the room to the object's end. All
// before that place is the object's from then on. A batch that isn't what was
// announced is an error, and the slice useless.
func (b *Builder) Add(batch *Batch, at int) error {
	p := b.room[at : at+int(batch.Size)]
	if err := checkBatch(batch, p); err != nil {
		return err
	}
	if b.block.Raw > 0 && int(b.block.Raw)+int(batch.Size) > BlockBytes {
		b.closeBlock()
	}
	from := len(b.buf)
	if &b.buf[0] == &b.room[0] { // else it has outgrown the room, and costs memory
		end := at + len(p)
		if end == b.loaded {
			end = len(b.room)
		}
		b.buf = b.room[:from:end]
	}
	if from < len(b.room) && &b.room[from] == &p[0] && cap(b.buf) >= from+len(p) {
		b.buf = b.buf[:from+len(p)] // it is where it belongs
	} else {
		b.buf = append(b.buf, p...)
	}
	if len(b.index.Blocks) == 0 && b.block.Raw == 0 {
		b.index.Base = batch.Base
	}
	b.note(batch, b.buf[from:], b.newest(batch, b.buf[from:]))
	return nil
}

// checkBatch keeps a journal's rot from becoming history.
func checkBatch(batch *Batch, p kafka.Batch) error {
	if len(p) < kafka.BatchHeaderBytes || p.Size() != len(p) || p.BaseOffset() != batch.Base || p.NextOffset() != batch.End {
		return fmt.Errorf("batch at offset %d to %d is not what its journal announced: %w", batch.Base, batch.End, kafka.ErrCorrupt)
	}
	if err := p.CheckCRC(); err != nil {
		return fmt.Errorf("batch at offset %d: %w", batch.Base, err)
	}
	return nil
}

// newest returns the largest timestamp of a batch's records. It reads those of a batch of
// which only the producer's word is known; if they can't be read, the batch counts as being
// as old as the object at most, so that it isn't deleted too early.
func (b *Builder) newest(batch *Batch, p kafka.Batch) int64 {
	if batch.TimeKnown {
		return batch.MaxTime
	}
	newest := int64(-1)
	err := p.Records(maxOpened, func(r *kafka.Record) error {
		newest = max(newest, r.Timestamp)
		return nil
	})
	if err != nil {
		return max(batch.MaxTime, b.footer.Created)
	}
	return newest
}

func (b *Builder) note(batch *Batch, p kafka.Batch, newest int64) {
	x, k := &b.index, &b.block
	if k.Raw == 0 {
		*k = Block{Base: batch.Base, MaxTime: -1, At: int64(len(b.buf) - len(p))}
		b.plain = 0
	}
	k.End, k.Raw = batch.End, k.Raw+int32(len(p))
	k.MaxTime = max(k.MaxTime, newest)
	if p.Codec() == kafka.None {
		b.plain += len(p)
	}
	x.End, x.MaxTime = batch.End, max(x.MaxTime, newest)
	first := p.BaseTimestamp()
	if p.IsLogAppendTime() {
		first = newest
	}
	if first >= 0 && (x.MinTime < 0 || first < x.MinTime) {
		x.MinTime = min(first, x.MaxTime)
	}
	epoch := id.Epoch(p.LeaderEpoch())
	if n := len(x.Epochs); n == 0 || x.Epochs[n-1].Epoch < epoch {
		x.Epochs = append(x.Epochs, schema.EpochStart{Epoch: epoch, Start: batch.Base})
	}
}

// closeBlock ends the open block, compressed where that pays.
func (b *Builder) closeBlock() {
	k := &b.block
	raw := b.buf[k.At:]
	if 2*b.plain >= len(raw) && b.compress() {
		small, ok := squeeze(b.zip, b.scratch, raw)
		b.scratch = small[:0]
		if ok {
			k.Codec = codecZstd
			b.buf = append(b.buf[:k.At], small...)
		}
	}
	stored := b.buf[k.At:]
	k.Stored, k.CRC = int32(len(stored)), kafka.Checksum(stored)
	b.index.Blocks = append(b.index.Blocks, *k)
	b.block = Block{}
}

// End ends the slice. producers is nil if the slice has no state of its own.
func (b *Builder) End(producers []Producer, aborted []Aborted) schema.Slice {
	b.closeBlock()
	x := &b.index
	if producers != nil {
		x.StateAt = int64(len(b.buf))
		b.buf = appendState(b.buf, producers)
		x.StateLen = int32(int64(len(b.buf)) - x.StateAt)
	}
	for _, a := range aborted {
		if a.First < x.End && a.Last >= x.Base {
			x.Aborted = append(x.Aborted, a)
		}
	}
	at := len(b.buf)
	b.buf = appendIndex(b.buf, x)
	s := schema.Slice{Base: x.Base, End: x.End, MinTime: x.MinTime, MaxTime: x.MaxTime,
		MinEpoch: x.Epochs[0].Epoch, MaxEpoch: x.Epochs[len(x.Epochs)-1].Epoch, Bytes: x.bytes(),
		IndexAt: int64(at), IndexLen: int32(len(b.buf) - at)}
	b.footer.Slices = append(b.footer.Slices, FooterSlice{x.Partition, x.Topic, s})
	return s
}

// Undo takes the unfinished slice back.
func (b *Builder) Undo() {
	b.buf = b.buf[:b.from]
	b.block = Block{}
}

// Slices returns the slices that were ended.
func (b *Builder) Slices() []FooterSlice { return b.footer.Slices }

// bytes is the size of all record batches.
func (x *Index) bytes() (n int64) {
	for i := range x.Blocks {
		n += int64(x.Blocks[i].Raw)
	}
	return n
}

// Finish returns the whole object, which is in the builder's buffer. It may be
// finished again, with another name.
func (b *Builder) Finish(o schema.Object) []byte {
	b.footer.Object = o
	for i := range b.footer.Slices {
		b.footer.Slices[i].Object = o
	}
	at := len(b.buf)
	whole := appendFooter(b.buf, &b.footer)
	return appendTrailer(whole, int64(at), len(whole)-at)
}
