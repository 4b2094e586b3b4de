package broker

import (
	"context"
	"errors"
	"time"

	"varve/tiering/object"
	"varve/tiering/read"
)

// secondLook is after how long an object that seems to be gone is looked for again: a
// proxy's 404, or a head that is a moment old, is no proof.
const secondLook = 250 * time.Millisecond

// readTier reads from the bucket. Records that can't be read there are an error that clients
// show, once a second look by the present head has found the same. The answer leaves when the
// client's MaxWait ends, as one without records: a client that asks again at once would spin.
func (fp *fetchPart) readTier(ctx context.Context, b *Broker, limit int) {
	p, offset := fp.p.ID(), fp.want.offset
	if known := b.deps.Tier.HoleAt(p, offset); known != nil {
		fp.err = known
		return
	}
	var found, before *object.HoleError
	for {
		fp.far, fp.err = b.deps.Tier.Read(ctx, fp.p.Head(), p, offset, limit)
		if !errors.As(fp.err, &found) || found.Same(before) {
			break
		}
		before = found
		select {
		case <-time.After(secondLook):
		case <-ctx.Done():
			fp.err = nil
			return
		}
	}
	switch {
	case fp.err == nil || errors.Is(fp.err, read.ErrBelowStart):
	case errors.Is(fp.err, read.ErrBusy) || errors.Is(fp.err, context.DeadlineExceeded):
		fp.err = nil // nothing this time; the client asks again
	case errors.Is(fp.err, object.ErrHole):
		fp.fell(ctx, b, found)
	default:
		b.log.Warn("read from the tier failed", "topic", fp.topic.Name, "partition", fp.want.partition, "offset", offset, "err", fp.err)
	}
}

// fell notes a hole, if this agent still owns the partition: the head of one that doesn't
// may name what the owner has given up long since.
func (fp *fetchPart) fell(ctx context.Context, b *Broker, e *object.HoleError) {
	if err := fp.p.Confirm(ctx); err != nil {
		fp.err = err
		return
	}
	if b.deps.Tier.FoundHole(e, time.Now()) {
		b.log.Error("records can't be read: their object is gone from the bucket or damaged; fetches of these offsets are refused until it is back, or they are skipped ('varve tier holes')",
			"topic", fp.topic.Name, "partition", fp.want.partition, "from", e.From, "to", e.To, "object", e.Key, "err", e.Err)
	}
}
