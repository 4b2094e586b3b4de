package kafka

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindow bounds the window of a decoder of streams, and so its memory.
	// What producers send stays below it: a window is no larger than its batch, and
	// 8 MiB at zstd's usual levels.
	zstdWindow = 8 << 20
	// zstdMaxWindow bounds that of any. It is zstd's own limit for decoders, and Kafka's:
	// levels 20 to 22 declare up to that, however little they compress.
	zstdMaxWindow = 128 << 20
	// zstdSlack is room after the output with which the decoder needs fewer checks.
	zstdSlack = 16
)

// The zstd coders of the process, for as many goroutines as there are processors, since they
// only compute. They have no goroutine, but channels; these are made before anything
// runs, because one that is made inside a bubble of testing/synctest can be used
// there only.
var (
	zstdWriter  = newZstdWriter()
	zstdReader  = newZstdReader(zstdMaxWindow, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecodeAllCapLimit(true))
	zstdStreams = newZstdStreams(runtime.GOMAXPROCS(0))
	zstdWide    = newZstdWide(zstdMaxWindow)
)

func newZstdWriter() *zstd.Encoder {
	w := must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)))
	w.EncodeAll(nil, nil) // makes its channel
	return w
}

// newZstdStreams makes the decoders of streams, each of which may have the memory of a window.
func newZstdStreams(n int) chan *zstd.Decoder {
	all := make(chan *zstd.Decoder, n)
	for range cap(all) {
		all <- newZstdReader(zstdWindow, zstd.WithDecoderConcurrency(1))
	}
	return all
}

func newZstdReader(window uint64, options ...zstd.DOption) *zstd.Decoder {
	return must(zstd.NewReader(nil, append(options, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))...))
}

// newZstdWide makes the one decoder for large windows. It decompresses at once and not as a
// stream, for which it would take as much memory as the window that a frame declares.
func newZstdWide(most uint64) chan *zstd.Decoder {
	one := make(chan *zstd.Decoder, 1)
	one <- newZstdReader(zstdMaxWindow, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(most))
	return one
}

// unzstd appends to dst what body decompresses to, at most limit bytes. It tries the room that
// dst has. The library's errors don't tell whether that was too little; sizeZstd does.
func unzstd(dst, body []byte, limit int) ([]byte, error) {
	start := len(dst)
	if room := zstdRoom(body); room > cap(dst)-start && cap(dst)-start < limit {
		dst = slices.Grow(dst, min(room, limit))
	}
	out, err := zstdReader.DecodeAll(body, dst[:start:min(cap(dst), start+limit)])
	if err == nil {
		return out, nil
	}
	n, err := sizeZstd(body, limit)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, n+zstdSlack)
	return zstdReader.DecodeAll(body, dst[:start:start+n+zstdSlack])
}

// zstdRoom returns how much room a body probably needs: what its first frame claims, or several
// times its length.
func zstdRoom(body []byte) int {
	var h zstd.Header
	if h.Decode(body) == nil && h.HasFCS && h.FrameContentSize <= zstdMaxWindow {
		return int(h.FrameContentSize) + zstdSlack
	}
	return 4*len(body) + zstdSlack
}

// sizeZstd returns how long what body decompresses to is, unless that is more than limit. It
// reads it as a stream; a frame whose window is too large for that waits for the decoder that
// takes it. A frame in one segment has a window of its size, which the library refuses
// otherwise.
func sizeZstd(body []byte, limit int) (int, error) {
	r := <-zstdStreams
	n, err := int64(0), r.Reset(bytes.NewReader(body))
	if err == nil {
		n, err = io.Copy(io.Discard, io.LimitReader(r, int64(limit)+1))
	}
	zstdStreams <- r
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		wide := <-zstdWide
		var out []byte
		out, err = wide.DecodeAll(body, nil)
		zstdWide <- wide
		n = int64(len(out))
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || err == nil && n > int64(limit) {
		return 0, errLimit
	}
	return int(n), err
}
