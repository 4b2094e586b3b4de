package partition

import (
	"context"

	"varve/tiering/manifest"
)

// Starts moves log starts (retain.Retention).
type Starts interface {
	// DeleteTo moves an owned partition's log start to an offset, at most its high watermark.
	DeleteTo(ctx context.Context, p manifest.Owned, offset int64) error
}

// ToHigh stands for the high watermark, as an offset for DeleteTo.
const ToHigh = -1

// DeleteTo deletes the records below an offset, at most the high watermark, wherever they
// are, and returns the log start (KIP-107). It is ErrOutOfRange above the high watermark.
func (p *Partition) DeleteTo(ctx context.Context, offset int64) (start int64, err error) {
	s := p.State()
	if offset == ToHigh {
		offset = s.High
	}
	if offset < 0 || offset > s.High {
		return -1, ErrOutOfRange
	}
	if offset > s.LogStart {
		if err := p.deps.Starts.DeleteTo(ctx, p, offset); err != nil {
			return -1, err
		}
	}
	return p.LogStart(), nil
}
