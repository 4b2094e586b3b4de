package partition

import (
	"context"

	"varve/internal/id"
	"varve/metadata/schema"
)

// EpochAt returns the leader epoch of the record at offset, or NoEpoch if the head
// no longer remembers it.
func (rd *Reader) EpochAt(offset int64) id.Epoch {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.mu.log.epochAt(offset)
}

// EpochEnd returns the largest epoch that is at most e, and the offset at which it ended
// (KIP-101, KIP-320). The tier knows of epochs that the head no longer remembers. An epoch
// before all that are known ended where the first of these begins, and NoEpoch has no end, as
// in Kafka. It is not ok if there is no answer.
func (rd *Reader) EpochEnd(ctx context.Context, e id.Epoch) (found id.Epoch, end int64, ok bool, err error) {
	if e == id.NoEpoch {
		return id.NoEpoch, -1, false, nil
	}
	err = rd.withHead(func(head *schema.Head) (err error) {
		var known bool
		rd.mu.Lock()
		found, end, known = rd.mu.log.epochEnd(e)
		rd.mu.Unlock()
		if known {
			ok = found != id.NoEpoch
			return nil
		}
		found, end, ok, err = rd.deps.Tier.EpochEnd(ctx, head, rd.id, e)
		if first := head.Epochs; err == nil && !ok && len(first) > 0 && first[0].Epoch > e {
			found, end, ok = e, max(first[0].Start, head.LogStart), true
		}
		return err
	})
	if err != nil || !ok {
		return id.NoEpoch, -1, false, err
	}
	return found, end, true, nil
}
