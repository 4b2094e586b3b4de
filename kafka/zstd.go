package kafka

import (
	"bytes"
	"errors"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindow bounds the window of a decoder that is kept, and so its memory.
	// What producers send stays below it: a window is no larger than its batch, and
	// 8 MiB at zstd's usual levels.
	zstdWindow = 8 << 20
	// zstdMaxWindow bounds that of any. It is zstd's own limit for decoders, and Kafka's:
	// levels 20 to 22 declare up to that, however little they compress.
	zstdMaxWindow = 128 << 20
)

// The zstd coders of the process, one for each processor, since they only
// compute. They have no goroutine, but channels; these are made before anything
// runs, because one that is made inside a bubble of testing/synctest can be used
// there only.
var (
	zstdWriter  = newZstdWriter()
	zstdReaders = newZstdReaders()
	zstdWide    = newZstdWide()
)

func newZstdWriter() *zstd.Encoder {
	w := must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)))
	w.EncodeAll(nil, nil) // makes its channel
	return w
}

func newZstdReaders() chan *zstd.Decoder {
	all := make(chan *zstd.Decoder, runtime.GOMAXPROCS(0))
	for range cap(all) {
		all <- newZstdReader(zstdWindow)
	}
	return all
}

func newZstdReader(window uint64) *zstd.Decoder {
	return must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window)))
}

// newZstdWide makes the one decoder for large windows. It decompresses at once and not as a
// stream, for which it would take as much memory as the window that a frame declares.
func newZstdWide() chan *zstd.Decoder {
	one := make(chan *zstd.Decoder, 1)
	one <- must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMaxWindow), zstd.WithDecoderMaxMemory(zstdMaxWindow)))
	return one
}

// unzstd decompresses with a decoder that is kept; a frame whose window is too
// large for that waits for the one that takes it.
func unzstd(body []byte, read func(io.Reader) error) error {
	r := <-zstdReaders
	err := unzstdWith(r, body, read)
	zstdReaders <- r
	if !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return err
	}
	wide := <-zstdWide
	out, err := wide.DecodeAll(body, nil)
	zstdWide <- wide
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return errLimit
	}
	if err != nil {
		return err
	}
	return read(bytes.NewReader(out))
}

func unzstdWith(r *zstd.Decoder, body []byte, read func(io.Reader) error) error {
	if err := r.Reset(bytes.NewReader(body)); err != nil {
		return err
	}
	return read(r)
}
