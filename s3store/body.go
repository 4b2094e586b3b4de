package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// section is a part of a Body, with the checksum that goes up with it.
type section struct {
	*io.SectionReader
	crc uint32 // CRC32C
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// buffers hold what is read of a Body to checksum or copy it.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// sectionOf checksums size bytes of a body from off.
func sectionOf(body Body, off, size int64) (section, error) {
	s := section{SectionReader: io.NewSectionReader(body, off, size)}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for done := int64(0); done < size; {
		n, err := s.ReadAt((*buffer)[:min(int64(len(*buffer)), size-done)], done)
		s.crc = crc32.Update(s.crc, castagnoli, (*buffer)[:n])
		done += int64(n)
		if done < size && err != nil {
			return section{}, bodyError(body, off+done, err)
		}
	}
	return s, nil
}

// memoryBody is a body that is in memory.
type memoryBody struct {
	*bytes.Reader
	data []byte
}

// Bytes returns a body of bytes, which must not change until Put returns. The
// directory driver writes large ones without a copy if data begins at a block of
// memory (vfs.Aligned).
func Bytes(data []byte) Body { return memoryBody{bytes.NewReader(data), data} }

// readBody reads a body into memory.
func readBody(body Body) ([]byte, error) {
	data := make([]byte, body.Size())
	n, err := body.ReadAt(data, 0)
	if n < len(data) {
		return nil, bodyError(body, int64(n), err)
	}
	return data, nil
}

// bodyError is the place where a body failed. One that ends before its size is the
// caller's mistake.
func bodyError(body Body, at int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the body ends before its size", ErrInvalid)
	}
	return fmt.Errorf("read body at %d of %d: %w", at, body.Size(), err)
}

// contextReader makes a stream end when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
	io.Closer
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
