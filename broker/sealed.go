package broker

import (
	"crypto/tls"
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

// sealed is the connection under TLS. It gathers what is written while it is held.
type sealed struct {
	net.Conn
	mu   sync.Mutex
	held *[]byte // what waits to be written; nil: not held
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
