package manifest

import (
	"context"
	"errors"

	"varve/internal/id"
	"varve/metadata/schema"
)

// ErrNotOwner: this agent does not own the partition (any more); nothing was changed.
var ErrNotOwner = errors.New("partition is not owned here")

// Owned is an owned partition, as far as its head is concerned.
type Owned interface {
	Partition() id.Partition
	// Head is the head as last committed. It must not be changed.
	Head() *schema.Head
	// UpdateHead lets change alter a copy of the head and stores that, guarded by the
	// owner's own last write: ErrNotOwner if someone else wrote. Calls for one
	// partition are serialized; an error of change ends the call and is returned.
	UpdateHead(ctx context.Context, change func(*schema.Head) error) error
}
