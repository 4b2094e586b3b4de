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
	"io"
	"time"
)

// Object is what a store knows of an object without its bytes.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Store keeps immutable objects under keys. Keys are relative to the prefix the
// store was opened with, 1 to MaxKeyBytes bytes of [A-Za-z0-9/._=-], in segments
// of 1 to MaxSegmentBytes that aren't "." or ".."; others are ErrInvalid. No
// key may be a folder of another (a and a/b): MinIO does not list the second. The
// memory store refuses that as ErrInvalid, other drivers can't tell. All methods
// are safe for concurrent use and honour ctx.
type Store interface {
	// Put writes an object whole, replacing what is there.
	Put(ctx context.Context, key string, body Body) error
	// PutIfAbsent writes an object unless the key is taken: ErrExists. After a
	// transient error the object may or may not be there. Stores that can't
	// refuse (Capabilities.IfNoneMatch is false) check with Head first.
	PutIfAbsent(ctx context.Context, key string, body Body) error
	// Get reads length bytes from off (the rest of the object if length < 0)
	// into a stream, which the caller closes. A range that runs over the end is
	// cut there; one that begins there or beyond is ErrRange, unless it asks for
	// the whole of an empty object (0, -1). A length of 0 and a negative off are
	// ErrInvalid. The stream ends with io.EOF only when all of it was read.
	Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error)
	// Head returns how large an object is, or ErrNotFound.
	Head(ctx context.Context, key string) (Object, error)
	// List calls each with the objects whose keys begin with prefix and are
	// behind after, in bytewise order of keys, until it returns false. Prefix
	// may end within a segment; an empty one lists everything.
	List(ctx context.Context, prefix, after string, each func(Object) bool) error
	// Delete removes objects; those that are absent are no error. It is batched.
	// After an error any of them may be gone.
	Delete(ctx context.Context, keys []string) error
	// Capabilities returns what Probe found, or what the driver always has.
	Capabilities() Capabilities
	// Close releases connections and files. Nothing may be called after it.
	Close() error
}

// Body is what Put writes. It is read by position, never by a cursor, so that
// an attempt can be repeated and parts can go up side by side. bytes.Reader,
// strings.Reader and io.SectionReader are Bodies. It must not change meanwhile.
type Body interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
}

// Capabilities are the abilities that stores differ in.
type Capabilities struct {
	// IfNoneMatch: the store itself refuses to overwrite in PutIfAbsent.
	IfNoneMatch bool
	// Driver names the driver: "aws", "minio", "dir" or "memory".
	Driver string
}
