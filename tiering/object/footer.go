package object

import (
	"context"
	"fmt"
	"io"

	"varve/s3store"
)

// tailBytes is how much of an object's end is read at first for its footer.
const tailBytes = 64 << 10

// ReadFooter reads the description at the end of an object of a known size, in one request
// or two.
func ReadFooter(ctx context.Context, store s3store.Store, key string, size int64) (*Footer, error) {
	return readFooter(key, size, func(at, n int64) ([]byte, error) { return ReadRange(ctx, store, key, at, n) })
}

func readFooter(key string, size int64, read func(at, n int64) ([]byte, error)) (*Footer, error) {
	if size < headerBytes+trailerBytes || size > maxObjectBytes {
		return nil, &CorruptError{key, 0, fmt.Errorf("no object has %d bytes", size)}
	}
	from := max(0, size-tailBytes)
	tail, err := read(from, size-from)
	if err != nil {
		return nil, err
	}
	at, n, err := decodeTrailer(tail[len(tail)-trailerBytes:], size)
	if err != nil {
		return nil, &CorruptError{key, size - trailerBytes, err}
	}
	b := tail[max(0, int64(len(tail))-trailerBytes-n) : len(tail)-trailerBytes]
	if int64(len(b)) < n {
		if b, err = read(at, n); err != nil {
			return nil, err
		}
	}
	f, err := decodeFooter(b)
	if err != nil {
		return nil, &CorruptError{key, at, err}
	}
	return f, nil
}

// ReadRange reads exactly n bytes.
func ReadRange(ctx context.Context, store s3store.Store, key string, at, n int64) ([]byte, error) {
	body, err := store.Get(ctx, key, at, n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = Fill(body, b)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	if err == io.EOF {
		return nil, &CorruptError{key, at, fmt.Errorf("the object ends within %d bytes from here", n)}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Fill reads until p is full. io.EOF means that the object ends before; a stream that
// breaks off is another error, io.ErrUnexpectedEOF too.
func Fill(body io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = body.Read(p[n:])
		n += got
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}
