package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A frame is a big-endian int32 that counts what follows, then a request header
// and body, or a response header and body.

// ErrFrame is in the chain of every error about a frame or a request header;
// nothing can be answered then, and the connection must be closed.
var ErrFrame = errors.New("malformed frame")

// growBytes is how much of a frame is made room for before its bytes arrive, so
// that a false length costs nothing.
const growBytes = 128 << 10

// ReadFrame reads one frame's content of at most limit bytes into buf, grown as
// the bytes arrive. io.EOF means that the peer closed between two frames.
func ReadFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	n, err := ReadFrameSize(r, limit)
	if err != nil {
		return buf, err
	}
	return ReadFrameBody(r, buf, n)
}

// ReadFrameSize reads a frame's length and checks it against limit.
func ReadFrameSize(r io.Reader, limit int) (int, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 0 || int(n) > limit {
		return 0, fmt.Errorf("a frame of %d bytes, at most %d are allowed%s: %w", n, limit, foreign(size), ErrFrame)
	}
	return int(n), nil
}

// foreign returns what a length that can't be one looks like: the mistakes that people make
// most are to speak TLS or HTTP here.
func foreign(size [4]byte) string {
	switch {
	case size[0] == 0x16 && size[1] == 3: // a handshake record
		return " (it looks like TLS, which this listener does not speak)"
	case LooksLikeHTTP(size):
		return " (it looks like HTTP, which this listener does not speak)"
	}
	return ""
}

// LooksLikeHTTP reports whether a client that sends start first speaks HTTP.
func LooksLikeHTTP(start [4]byte) bool {
	switch string(start[:]) {
	case "GET ", "PUT ", "POST", "HEAD", "OPTI", "DELE", "PRI ":
		return true
	}
	return false
}

// ReadFrameBody reads the n bytes of a frame into buf, grown as they arrive.
func ReadFrameBody(r io.Reader, buf []byte, n int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, max(2*cap(buf), growBytes)))
			copy(grown, buf)
			buf = grown
		}
		step := min(n, cap(buf))
		got, err := io.ReadFull(r, buf[len(buf):step])
		buf = buf[:len(buf)+got]
		if err != nil {
			return buf, fmt.Errorf("read frame: %d of %d bytes: %w", len(buf), n, noEOF(err))
		}
	}
	return buf, nil
}

// noEOF makes the end of the stream in the middle of something an error of its own.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// RequestHeader is a request's header (versions 1 and 2).
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string // "" also for null
}

// RequestBody is what follows a RequestHeader: the request's fields, still encoded.
type RequestBody []byte

// ParseHeader takes the header off a frame's content. flexible is whether a
// version of an API has tagged fields in its header; it is asked only with a key
// and version as sent.
func ParseHeader(frame []byte, flexible func(key, version int16) bool) (h RequestHeader, body RequestBody, err error) {
	if len(frame) < 10 {
		return h, nil, fmt.Errorf("a request of %d bytes: %w", len(frame), ErrFrame)
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	n := int16(binary.BigEndian.Uint16(frame[8:]))
	rest := frame[10:]
	if n < -1 || int(n) > len(rest) {
		return h, nil, fmt.Errorf("a client id of %d bytes in %d: %w", n, len(rest), ErrFrame)
	}
	if n > 0 {
		h.ClientID = string(rest[:n])
		rest = rest[n:]
	}
	if flexible(h.Key, h.Version) {
		if rest, err = skipTags(rest); err != nil {
			return h, nil, err
		}
	}
	return h, RequestBody(rest), nil
}

// skipTags steps over a section of tagged fields (KIP-482).
func skipTags(b []byte) ([]byte, error) {
	n, b, ok := uvarint(b)
	for ; ok && n > 0; n-- {
		var size uint64
		if _, b, ok = uvarint(b); !ok {
			break
		}
		if size, b, ok = uvarint(b); !ok || size > uint64(len(b)) {
			ok = false
			break
		}
		b = b[size:]
	}
	if !ok {
		return nil, fmt.Errorf("tagged fields: %w", ErrFrame)
	}
	return b, nil
}

func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// Decode reads body into a request of the version that is set in req.
func Decode(body RequestBody, req kmsg.Request) error {
	if err := req.ReadFrom(body); err != nil {
		return fmt.Errorf("decode %s v%d: %w: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err, ErrFrame)
	}
	return nil
}

// AppendResponseHeader begins a frame: room for its length, the correlation id
// and, in flexible versions, an empty section of tagged fields. ApiVersions
// never has that section (KIP-511), so that any client can read it.
func AppendResponseHeader(dst []byte, correlation int32, flexible bool) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

// AppendResponse appends a whole frame with resp.
func AppendResponse(dst []byte, correlation int32, resp kmsg.Response) []byte {
	at := len(dst)
	flexible := resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions)
	dst = AppendResponseHeader(dst, correlation, flexible)
	dst = resp.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
