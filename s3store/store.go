// Package s3store is the seam to object storage: one small interface, a driver
// for each kind of store, and decorators with the same interface in and out.
//
// It promises that an object is either whole or absent, that what a successful
// Put wrote is what every later Get returns, and that errors are one of the
// sentinels below or transient. It knows nothing of what the bytes mean, and
// the S3 SDKs are imported nowhere else.
package s3store

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors that callers act on. Everything else is transient: the call may be
// repeated, except where the operation says otherwise.
var (
	// ErrNotFound: the object is not there.
	ErrNotFound = errors.New("object not found")
	// ErrExists: PutIfAbsent found an object under the key.
	ErrExists = errors.New("object already exists")
	// ErrRange: the range asked for begins at or beyond the object's end.
	ErrRange = errors.New("range is not satisfiable")
	// ErrDenied: credentials or policy refuse the call; repeating won't help.
	ErrDenied = errors.New("access denied")
)

// Object says what a store knows of an object without its bytes.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Store keeps immutable objects under keys. Keys are relative to the prefix the
// store was opened with, 1 to 900 bytes of [A-Za-z0-9/._=-], no empty, "." or
// ".." segments. All methods are safe for concurrent use and honour ctx.
type Store interface {
	// Put writes an object whole, replacing what is there.
	Put(ctx context.Context, key string, body Body) error
	// PutIfAbsent writes an object unless the key is taken: ErrExists. After a
	// transient error the object may or may not be there. Stores that can't
	// refuse (Capabilities.IfNoneMatch is false) check with Head first.
	PutIfAbsent(ctx context.Context, key string, body Body) error
	// Get reads length bytes from off (the rest of the object if length < 0)
	// into a stream, which the caller closes. A range that runs over the end is
	// cut there.
	Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error)
	// Head says how large an object is, or ErrNotFound.
	Head(ctx context.Context, key string) (Object, error)
	// List calls each with the objects whose keys begin with prefix and lie
	// behind after, in bytewise order of keys, until it returns false.
	List(ctx context.Context, prefix, after string, each func(Object) bool) error
	// Delete removes objects; those that are absent are no error. It is batched.
	Delete(ctx context.Context, keys []string) error
	// Capabilities says what Probe, or the driver's nature, found.
	Capabilities() Capabilities
	// Close releases connections and files.
	Close() error
}

// Body is what Put writes: a sized source that can be read again from the
// start, so that an attempt can be repeated. bytes.Reader and io.SectionReader
// are Bodies. Objects larger than the driver's part size go up in parts.
type Body interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	Size() int64
}

// Capabilities are the abilities that stores differ in.
type Capabilities struct {
	// IfNoneMatch: the store itself refuses to overwrite in PutIfAbsent.
	IfNoneMatch bool
	// Driver names the driver: "aws", "minio", "dir" or "memory".
	Driver string
}
