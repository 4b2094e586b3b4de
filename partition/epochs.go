package partition

import (
	"context"

	"varve/internal/id"
	"varve/metadata"
)

// EpochAt returns the leader epoch of the record at offset, or NoEpoch if the head
// remembers it no more.
func (p *Partition) EpochAt(offset int64) id.Epoch {
	p.mu.Lock()
	defer p.mu.Unlock()
	starts := p.mu.head.Epochs
	for i := len(starts) - 1; i >= 0; i-- {
		if starts[i].Start <= offset {
			return starts[i].Epoch
		}
	}
	if len(starts) == 0 {
		return p.mu.epoch
	}
	return id.NoEpoch
}

// EpochEnd returns the largest epoch that is at most e, and the offset at which it ended
// (KIP-101, KIP-320). It is not ok if there is none. The tier knows of epochs that the head
// remembers no more.
func (p *Partition) EpochEnd(ctx context.Context, e id.Epoch) (found id.Epoch, end int64, ok bool, err error) {
	err = p.withHead(func(head *metadata.Head) (err error) {
		var known bool
		if found, end, known = p.epochEnd(e); known {
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

// epochEnd is EpochEnd for epochs that the head remembers. It is not known if e is older than
// all of them.
func (p *Partition) epochEnd(e id.Epoch) (found id.Epoch, end int64, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	starts := p.mu.head.Epochs
	if e == p.mu.epoch {
		return e, p.mu.high, true
	}
	if e > p.mu.epoch || len(starts) == 0 {
		return id.NoEpoch, -1, true
	}
	for i := len(starts) - 1; i >= 0; i-- {
		if starts[i].Epoch <= e {
			end := p.mu.high
			if i+1 < len(starts) {
				end = starts[i+1].Start
			}
			return starts[i].Epoch, end, true
		}
	}
	return id.NoEpoch, -1, false
}
