package object

import (
	"errors"
	"fmt"
	"io"
	"time"

	"varve/kafka"
)

// DumpOptions is how much Dump shows.
type DumpOptions struct {
	Blocks  bool // every block, with its checksum proved
	Batches bool // and every record batch
}

// Dump writes what an object of size bytes holds, for people. It proves checksums
// on the way; what is wrong is an error, after what could be shown.
func Dump(w io.Writer, object io.ReaderAt, size int64, opts DumpOptions) error {
	d := &dump{w: w, object: object, opts: opts}
	head := make([]byte, headerBytes)
	if _, err := object.ReadAt(head, 0); err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	if err := checkHeader(head); err != nil {
		return err
	}
	f, err := readFooter("object", size, d.read)
	if err != nil {
		return err
	}
	d.printf("object %v  version %d  %d bytes  created %s  %d slices\n", f.Object, formatVersion, size, stampText(f.Created), len(f.Slices))
	var errs []error
	for i := range f.Slices {
		if err := d.slice(&f.Slices[i]); err != nil {
			d.printf("  ERROR %v\n", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.err)...)
}

type dump struct {
	w      io.Writer
	err    error // of w
	object io.ReaderAt
	opts   DumpOptions
}

func (d *dump) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *dump) read(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := d.object.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, at, err)
	}
	return b, nil
}

func stampText(ms int64) string {
	if ms < 0 {
		return "none"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func (d *dump) slice(s *FooterSlice) error {
	d.printf("slice %q %v  offsets %d to %d  epochs %v to %v  time %s to %s  %d bytes  index %d+%d\n", s.Topic, s.Partition,
		s.Base, s.End, s.MinEpoch, s.MaxEpoch, stampText(s.MinTime), stampText(s.MaxTime), s.Bytes, s.IndexAt, s.IndexLen)
	if s.IndexLen <= 0 || s.IndexLen > MaxSealedBytes {
		return fmt.Errorf("index of %d bytes: %w", s.IndexLen, ErrInconsistent)
	}
	b, err := d.read(s.IndexAt, int64(s.IndexLen))
	if err != nil {
		return err
	}
	x, err := DecodeIndex(b, s.IndexAt)
	if err != nil {
		return err
	}
	var stored int64
	for i := range x.Blocks {
		stored += int64(x.Blocks[i].Stored)
	}
	d.printf("  %d blocks  %d bytes stored  %d epochs  %d aborted transactions\n", len(x.Blocks), stored, len(x.Epochs), len(x.Aborted))
	for _, e := range x.Epochs {
		d.printf("  epoch %v from %d\n", e.Epoch, e.Start)
	}
	for _, a := range x.Aborted {
		d.printf("  aborted: producer %d, %d to %d\n", a.ProducerID, a.First, a.Last)
	}
	if err := d.state(x); err != nil {
		return err
	}
	if !d.opts.Blocks && !d.opts.Batches {
		return nil
	}
	for i := range x.Blocks {
		if err := d.block(&x.Blocks[i]); err != nil {
			return fmt.Errorf("block at %d: %w", x.Blocks[i].At, err)
		}
	}
	return nil
}

func (d *dump) state(x *Index) error {
	if x.StateLen == 0 {
		d.printf("  no state\n")
		return nil
	}
	b, err := d.read(x.StateAt, int64(x.StateLen))
	if err != nil {
		return err
	}
	producers, err := DecodeState(b)
	if err != nil {
		return err
	}
	d.printf("  state at %d: %d producers\n", x.StateAt, len(producers))
	for _, p := range producers {
		d.printf("  producer %d epoch %d at %s: %v\n", p.ID, p.Epoch, stampText(p.Timestamp), p.Batches)
	}
	return nil
}

func (d *dump) block(k *Block) error {
	codec := [...]string{CodecRaw: "raw", codecZstd: "zstd"}[k.Codec]
	d.printf("  block %d+%d  offsets %d to %d  %s of %d bytes  newest %s  crc %08x\n", k.At, k.Stored, k.Base, k.End, codec, k.Raw, stampText(k.MaxTime), k.CRC)
	p, err := d.read(k.At, int64(k.Stored))
	if err != nil {
		return err
	}
	if kafka.Checksum(p) != k.CRC {
		return ErrChecksum
	}
	if !d.opts.Batches {
		return nil
	}
	if k.Codec == codecZstd {
		if p, err = kafka.Decompress(kafka.Zstd, p, int(k.Raw)); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		b, rest, err := kafka.Next(p)
		if err != nil {
			return err
		}
		d.printf("    batch %d to %d  epoch %d  %v  %d records  %d bytes  newest %s  producer %d/%d/%d\n", b.BaseOffset(), b.LastOffset(), b.LeaderEpoch(),
			b.Codec(), b.Count(), len(b), stampText(b.MaxTimestamp()), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
		if err := b.CheckCRC(); err != nil {
			return err
		}
		p = rest
	}
	return nil
}
