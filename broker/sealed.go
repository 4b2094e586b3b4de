package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
)

// Records of TLS hold up to 16 KiB, and crypto/tls makes a record, and a system call, of each
// write that is smaller. So small pieces of answers are gathered into whole records, and
// several records into one call.
const (
	recordBytes = 16 << 10
	sealedBytes = 4 * (recordBytes + 256) // of records that one call writes
)

// crypto/tls keeps a client's message of the handshake until all of it is there: up to 256 KiB of
// one that claims to be a certificate, even after the handshake. So what a client may send without
// any data in it is bounded here. A hello has a few KiB; a certificate comes with its intermediate
// ones.
const (
	withoutData            = 32 << 10
	withoutDataCertificate = 64 << 10 // where clients are asked for certificates
)

// errNoData ends a connection whose client sends too much that isn't data.
var errNoData = errors.New("the client's messages of the TLS handshake are too large")

// sealed is the connection under TLS. It gathers what is written while it is held, and bounds what
// is read before there is data in it.
type sealed struct {
	net.Conn
	most, unread int // bytes that may be read until the next data, and what is left of them; the reader owns them
	mu           sync.Mutex
	held         *[]byte // what waits to be written; nil: not held
}

func newSealed(nc net.Conn, cfg *tls.Config) *sealed {
	most := withoutData
	if cfg.ClientAuth != tls.NoClientCert {
		most = withoutDataCertificate
	}
	return &sealed{Conn: nc, most: most, unread: most}
}

// Read reads records, at most as much of them as is left.
func (s *sealed) Read(p []byte) (int, error) {
	if s.unread <= 0 {
		return 0, errNoData
	}
	n, err := s.Conn.Read(p[:min(len(p), s.unread)])
	s.unread -= n
	return n, err
}

// more lets the next records be read: the handshake is over, or there was data.
func (s *sealed) more() { s.unread = s.most }

// unsealed reads data from a connection, whose sealed one counts what is read without any.
type unsealed struct {
	io.Reader
	under *sealed
}

func (u unsealed) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if n > 0 {
		u.under.more()
	}
	return n, err
}

// data returns what reads the connection's data.
func (c *conn) data() io.Reader {
	if t, ok := c.nc.(*tls.Conn); ok {
		if under, ok := t.NetConn().(*sealed); ok {
			return unsealed{t, under}
		}
	}
	return c.nc
}

var sealedBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, sealedBytes)
	return &b
}}

// hold begins to gather.
func (s *sealed) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = sealedBuffers.Get().(*[]byte)
	}
}

// let writes what was gathered, and ends gathering.
func (s *sealed) let() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	err := s.flush()
	sealedBuffers.Put(s.held)
	s.held = nil
	return err
}

// flush writes what was gathered. The lock is held.
func (s *sealed) flush() error {
	if len(*s.held) == 0 {
		return nil
	}
	_, err := s.Conn.Write(*s.held)
	*s.held = (*s.held)[:0]
	return err
}

// Write writes now, or later if it is held.
func (s *sealed) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return s.Conn.Write(p)
	}
	if len(*s.held)+len(p) > cap(*s.held) {
		if err := s.flush(); err != nil {
			return 0, err
		}
		if len(p) > cap(*s.held) {
			return s.Conn.Write(p)
		}
	}
	*s.held = append(*s.held, p...)
	return len(p), nil
}

var plainBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, recordBytes)
	return &b
}}

// seal writes pieces over TLS.
func seal(t *tls.Conn, pieces net.Buffers) error {
	under, ok := t.NetConn().(*sealed)
	if ok {
		under.hold()
	}
	record := plainBuffers.Get().(*[]byte)
	defer plainBuffers.Put(record)
	err := inRecords(t, pieces, (*record)[:0])
	if ok {
		if e := under.let(); err == nil {
			err = e
		}
	}
	return err
}

// inRecords writes pieces such that each write is of whole records, but for the last one.
func inRecords(t *tls.Conn, pieces net.Buffers, record []byte) error {
	for _, p := range pieces {
		for len(p) > 0 {
			if whole := len(p) &^ (recordBytes - 1); len(record) == 0 && whole > 0 {
				if _, err := t.Write(p[:whole]); err != nil {
					return err
				}
				p = p[whole:]
				continue
			}
			n := min(len(p), recordBytes-len(record))
			record, p = append(record, p[:n]...), p[n:]
			if len(record) == recordBytes {
				if _, err := t.Write(record); err != nil {
					return err
				}
				record = record[:0]
			}
		}
	}
	if len(record) == 0 {
		return nil
	}
	_, err := t.Write(record)
	return err
}
