package partition

import (
	"context"

	"varve/internal/id"
	"varve/metadata"
)

// EpochAt returns the leader epoch of the record at offset, or NoEpoch if the head
// no longer remembers it.
func (p *Partition) EpochAt(offset int64) id.Epoch {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.log.epochAt(offset)
}

// EpochEnd returns the largest epoch that is at most e, and the offset at which it ended
// (KIP-101, KIP-320). It is not ok if there is none. The tier knows of epochs that the head
// no longer remembers.
func (p *Partition) EpochEnd(ctx context.Context, e id.Epoch) (found id.Epoch, end int64, ok bool, err error) {
	err = p.withHead(func(head *metadata.Head) (err error) {
		var known bool
		p.mu.Lock()
		found, end, known = p.mu.log.epochEnd(e)
		p.mu.Unlock()
		if known {
			ok = found != id.NoEpoch
			return nil
		}
		found, end, ok, err = p.deps.Tier.EpochEnd(ctx, head, p.id, e)
		return err
	})
	if err != nil || !ok {
		return id.NoEpoch, -1, false, err
	}
	return found, end, true, nil
}
