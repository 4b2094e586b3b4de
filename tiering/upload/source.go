// Package tiering moves sealed records to the bucket and reads them back: the
// object format, upload, manifests, reads, retention and garbage.
//
// It promises the order of a commit (object, manifest pages, head, and only then
// the journal may forget), that a reader gets exactly the bytes that were
// produced, and that memory, requests and etcd bytes don't grow with history. It
// never decides which agent owns a partition: every commit is the owner's guarded write.
package upload

import (
	"context"

	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Source is an owned partition whose records move to the bucket.
type Source interface {
	manifest.Owned
	// Recall reads what only the tier remembers of producers, so that Pending knows
	// all of them. It is called before Pending, and costs nothing once it succeeded.
	Recall(ctx context.Context) error
	// Pending returns what is committed, stable and after the tiered end, from an
	// offset on, at most about limit bytes, at least one batch if there is any.
	Pending(from, limit int64) object.Run
	// PendingBytes returns how much waits, and the append time in ms of the oldest of
	// it (0 if nothing waits).
	PendingBytes() (bytes, oldest int64)
	// Read fills p, of the batch's size, with its bytes.
	Read(ctx context.Context, b object.Batch, p []byte) error
}
