package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"
)

// conn frames a connection. Reading and writing are for one goroutine each.
type conn struct {
	net.Conn
	in        *bufio.Reader
	sent, got uint32
	head      [frameHeader]byte
	inHead    [frameHeader]byte
	metrics   *metrics
}

func newConn(c net.Conn, m *metrics) *conn {
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 8<<10), metrics: m}
}

// until closes the connection when ctx ends; the result takes that back.
func (c *conn) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.Close() })
}

// send writes one frame, straight from where its payload is.
func (c *conn) send(k kind, payload []byte) error {
	c.sent++
	f := frame{kind: k, length: uint32(len(payload)), number: c.sent}
	if k != kindEntries {
		f.crc = crc32.Checksum(payload, castagnoli)
	}
	f.put(c.head[:])
	bufs := net.Buffers{c.head[:], payload}
	if len(payload) == 0 {
		bufs = bufs[:1]
	}
	n, err := bufs.WriteTo(c.Conn)
	c.metrics.sent.Add(float64(n))
	return err
}

// next reads a frame's header; wait bounds how long nothing may come, 0 is for ever.
func (c *conn) next(wait time.Duration) (frame, error) {
	if err := c.patience(wait); err != nil {
		return frame{}, err
	}
	if _, err := io.ReadFull(c.in, c.inHead[:]); err != nil {
		return frame{}, err
	}
	f, err := parseFrame(c.inHead[:])
	if err != nil {
		return f, err
	}
	c.got++
	if f.number != c.got {
		return f, fmt.Errorf("frame %d where %d should be: %w", f.number, c.got, errFrame)
	}
	c.metrics.received.Add(float64(frameHeader + f.length))
	return f, nil
}

func (c *conn) patience(wait time.Duration) error {
	if wait == 0 {
		return c.SetReadDeadline(time.Time{})
	}
	return c.SetReadDeadline(time.Now().Add(wait))
}

// control reads a whole frame.
func (c *conn) control(wait time.Duration) (kind, []byte, error) {
	f, err := c.next(wait)
	if err != nil {
		return 0, nil, err
	}
	b, err := readPayload(c.in, f)
	return f.kind, b, err
}

// expect reads a whole frame of one kind.
func (c *conn) expect(k kind, wait time.Duration) ([]byte, error) {
	got, b, err := c.control(wait)
	if err == nil && got != k {
		err = fmt.Errorf("kind %d where %d should be: %w", got, k, errFrame)
	}
	return b, err
}

// ended reports whether err is only the end of a connection.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}
