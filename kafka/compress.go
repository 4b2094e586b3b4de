package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/pierrec/lz4/v4"

	"varve/internal/inflate"
)

// Codec is how a batch's records are compressed.
type Codec int8

// The codecs, with Kafka's numbers.
const (
	None Codec = iota
	Gzip
	Snappy
	Lz4
	Zstd
)

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func (c Codec) String() string {
	if c < None || c > Zstd {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

// ParseCodec reads a codec's name; "uncompressed" is none.
func ParseCodec(s string) (Codec, error) {
	if s == "uncompressed" {
		return None, nil
	}
	for i, name := range codecNames {
		if s == name {
			return Codec(i), nil
		}
	}
	return None, fmt.Errorf("codec %q is not one of %s", s, strings.Join(codecNames, ", "))
}

// Costly coders are kept for reuse; they hold neither goroutines nor channels.
var (
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	lz4Writers  = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}
)

// must is for constructors that fail only on options that are wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Compress appends body, compressed, to dst.
func Compress(c Codec, dst, body []byte) ([]byte, error) {
	switch c {
	case None:
		return append(dst, body...), nil
	case Snappy:
		return append(dst, s2.EncodeSnappy(nil, body)...), nil
	case Zstd:
		return zstdWriter.EncodeAll(body, dst), nil
	case Gzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		return compressTo(w, dst, body)
	case Lz4:
		w := lz4Writers.Get().(*lz4.Writer)
		defer lz4Writers.Put(w)
		return compressTo(w, dst, body)
	}
	return nil, fmt.Errorf("%v: %w", c, ErrCodec)
}

type resetWriter interface {
	io.WriteCloser
	Reset(io.Writer)
}

func compressTo(w resetWriter, dst, body []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w.Reset(buf)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// errLimit stops a decompression that would grow beyond the caller's limit, with any codec.
var errLimit = inflate.ErrLimit

// Decompress returns body decompressed; with None it is body itself. Anything
// that would be larger than limit bytes is ErrTooLarge, found out before the
// memory is spent.
func Decompress(c Codec, body []byte, limit int) ([]byte, error) {
	return decompress(c, nil, body, limit, func(int) {})
}

// decompress is Decompress into dst, which it grows. It calls room, if the output is
// large, with its size before it makes room for it; it holds no coder then.
func decompress(c Codec, dst, body []byte, limit int, room func(int)) ([]byte, error) {
	out, err := unpack(c, dst, body, limit, room)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrCodec):
		return nil, err
	case errors.Is(err, errLimit):
		return nil, fmt.Errorf("decompress %v of %d bytes: over %d bytes: %w", c, len(body), limit, ErrTooLarge)
	}
	return nil, fmt.Errorf("decompress %v of %d bytes: %w: %w", c, len(body), err, ErrCorrupt)
}

// smallOutput is what is decompressed at once. More is counted first: that costs time,
// instead of the memory that a buffer takes while it grows.
const smallOutput = 4 << 20

// unpackers are how the codecs decompress: append appends to dst, which it grows, and size
// returns only how much that would be. More than limit bytes are errLimit.
var unpackers = map[Codec]struct {
	append func(dst, body []byte, limit int) ([]byte, error)
	size   func(body []byte, limit int) (int, error)
}{
	Gzip:   {inflate.Append, inflate.Size},
	Snappy: {unsnappy, sizeSnappy},
	Lz4:    {unlz4, sizeLz4},
	Zstd:   {unzstd, sizeZstd},
}

func unpack(c Codec, dst, body []byte, limit int, room func(int)) ([]byte, error) {
	if c == None {
		return body, nil
	}
	codec, ok := unpackers[c]
	if !ok {
		return nil, fmt.Errorf("%v: %w", c, ErrCodec)
	}
	out, err := codec.append(dst, body, min(limit, smallOutput))
	if !errors.Is(err, errLimit) {
		return out, err
	}
	n, err := codec.size(body, limit)
	if err != nil {
		return nil, err
	}
	room(n)
	return codec.append(make([]byte, 0, n), body, n)
}
