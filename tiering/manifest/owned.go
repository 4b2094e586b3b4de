package manifest

import (
	"context"
	"errors"

	"varve/internal/id"
	"varve/metadata"
)

// ErrNotOwner: the partition has another owner by now; nothing was changed.
var ErrNotOwner = errors.New("partition has another owner")

// Owned is an owned partition, as far as its head is concerned.
type Owned interface {
	Partition() id.Partition
	// Head is the head as last committed. It must not be changed.
	Head() *metadata.Head
	// Commit lets change alter a copy of the head and stores that, guarded by the
	// owner's own last write: ErrNotOwner if somebody else wrote. Calls for one
	// partition are serialized; an error of change ends the call and is returned.
	Commit(ctx context.Context, change func(*metadata.Head) error) error
}
