package tiering

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
)

// builder makes an object in one buffer: batches are read straight into it.
type builder struct {
	buf      []byte
	footer   Footer
	compress func() bool // asked for each block
	zip      *zstd.Encoder

	// Of the slice that is being built.
	index   Index
	block   Block // open one; Raw is 0 if none is
	plain   int   // bytes of it whose producer didn't compress
	scratch []byte
}

// newBuilder begins an object in buf, whose content is dropped. compress says
// whether blocks may be compressed now.
func newBuilder(buf []byte, o metadata.Object, created int64, compress func() bool, zip *zstd.Encoder) *builder {
	return &builder{buf: appendHeader(buf[:0]), footer: Footer{Object: o, Created: created}, compress: compress, zip: zip}
}

func (b *builder) begin(p id.Partition, topic string) {
	b.index = Index{Partition: p, Topic: topic, MinTime: -1, MaxTime: -1}
}

// add appends a batch that fill reads. A batch that isn't what was announced is
// an error, and the object useless.
func (b *builder) add(batch *Batch, fill func([]byte) error) error {
	if b.block.Raw > 0 && int(b.block.Raw)+int(batch.Size) > BlockBytes {
		b.closeBlock()
	}
	from := len(b.buf)
	b.buf = slices.Grow(b.buf, int(batch.Size))[:from+int(batch.Size)]
	p := b.buf[from:]
	if err := fill(p); err != nil {
		return fmt.Errorf("read batch at offset %d: %w", batch.Base, err)
	}
	if err := checkBatch(batch, p); err != nil {
		return err
	}
	if len(b.index.Blocks) == 0 && b.block.Raw == 0 {
		b.index.Base = batch.Base
	}
	b.note(batch, p)
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

func (b *builder) note(batch *Batch, p kafka.Batch) {
	x, k := &b.index, &b.block
	if k.Raw == 0 {
		*k = Block{Base: batch.Base, MaxTime: -1, At: int64(len(b.buf) - len(p))}
		b.plain = 0
	}
	k.End, k.Raw = batch.End, k.Raw+int32(len(p))
	k.MaxTime = max(k.MaxTime, batch.MaxTime)
	if p.Codec() == kafka.None {
		b.plain += len(p)
	}
	x.End, x.MaxTime = batch.End, max(x.MaxTime, batch.MaxTime)
	first := p.BaseTimestamp()
	if p.IsLogAppendTime() {
		first = batch.MaxTime
	}
	if first >= 0 && (x.MinTime < 0 || first < x.MinTime) {
		x.MinTime = min(first, x.MaxTime)
	}
	epoch := id.Epoch(p.LeaderEpoch())
	if n := len(x.Epochs); n == 0 || x.Epochs[n-1].Epoch < epoch {
		x.Epochs = append(x.Epochs, metadata.EpochStart{Epoch: epoch, Start: batch.Base})
	}
}

// closeBlock ends the open block, compressed where that pays.
func (b *builder) closeBlock() {
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

// end ends the slice. producers is nil if the slice has no state of its own.
func (b *builder) end(producers []Producer, aborted []Aborted) metadata.Slice {
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
	s := metadata.Slice{Object: b.footer.Object, Base: x.Base, End: x.End, MinTime: x.MinTime, MaxTime: x.MaxTime,
		MinEpoch: x.Epochs[0].Epoch, MaxEpoch: x.Epochs[len(x.Epochs)-1].Epoch, Bytes: x.bytes(),
		IndexAt: int64(at), IndexLen: int32(len(b.buf) - at)}
	b.footer.Slices = append(b.footer.Slices, FooterSlice{x.Partition, x.Topic, s})
	return s
}

// undo takes an unfinished slice back, which began at a position of the buffer.
func (b *builder) undo(from int) {
	b.buf = b.buf[:from]
	b.block = Block{}
}

// bytes is the size of all record batches.
func (x *Index) bytes() (n int64) {
	for i := range x.Blocks {
		n += int64(x.Blocks[i].Raw)
	}
	return n
}

// finish gives the whole object, which lies in the builder's buffer.
func (b *builder) finish() []byte {
	at := len(b.buf)
	b.buf = appendFooter(b.buf, &b.footer)
	b.buf = appendTrailer(b.buf, int64(at), len(b.buf)-at)
	return b.buf
}
