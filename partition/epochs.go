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
// (KIP-101, KIP-320). It is not ok if there is none. The tier knows of epochs that the head
// no longer remembers. NoEpoch has no end, as in Kafka.
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
		return err
	})
	if err != nil || !ok {
		return id.NoEpoch, -1, false, err
	}
	return found, end, true, nil
}
