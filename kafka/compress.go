package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
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
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	lz4Writers  = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
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

// errLimit stops a decompression that would grow beyond the caller's limit.
var errLimit = errors.New("decompressed size is over the limit")

// Decompress gives body decompressed; with None it is body itself. Anything
// that would be larger than limit bytes is ErrTooLarge, found out before the
// memory is spent.
func Decompress(c Codec, body []byte, limit int) ([]byte, error) {
	out, err := decompress(c, body, limit)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrCodec):
		return nil, err
	case errors.Is(err, errLimit) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, fmt.Errorf("decompress %v of %d bytes: over %d bytes: %w", c, len(body), limit, ErrTooLarge)
	}
	return nil, fmt.Errorf("decompress %v of %d bytes: %w: %w", c, len(body), err, ErrCorrupt)
}

func decompress(c Codec, body []byte, limit int) ([]byte, error) {
	switch c {
	case None:
		return body, nil
	case Snappy:
		return unsnappy(body, limit)
	case Gzip:
		r := gzipReaders.Get().(*gzip.Reader)
		defer gzipReaders.Put(r)
		if err := r.Reset(bytes.NewReader(body)); err != nil {
			return nil, err
		}
		return readLimited(r, len(body), limit)
	case Lz4:
		r := lz4Readers.Get().(*lz4.Reader)
		defer lz4Readers.Put(r)
		r.Reset(bytes.NewReader(body))
		return readLimited(r, len(body), limit)
	case Zstd:
		return unzstd(body, limit)
	}
	return nil, fmt.Errorf("%v: %w", c, ErrCodec)
}

func readLimited(r io.Reader, size, limit int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(4*size, limit)))
	n, err := io.Copy(buf, io.LimitReader(r, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errLimit
	}
	return buf.Bytes(), err
}

// xerial is the magic of the framing that Java's snappy streams have.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func unsnappy(body []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(body, xerial) {
		return unsnappyBlock(nil, body, limit)
	}
	if len(body) < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	var out []byte
	for rest := body[16:]; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if out, err = unsnappyBlock(out, rest[4:4+n], limit); err != nil {
			return nil, err
		}
		rest = rest[4+n:]
	}
	return out, nil
}

func unsnappyBlock(dst, block []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, errLimit
	}
	out, err := s2.Decode(nil, block)
	if err != nil {
		return nil, err
	}
	if dst == nil {
		return out, nil
	}
	return append(dst, out...), nil
}
