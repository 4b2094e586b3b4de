package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/backoff"
	"varve/tiering/object"
	"varve/tiering/read"
)

// secondLook is after how long an object that seems to be gone is looked for again: a
// proxy's 404, or a head that is a moment old, is no proof.
const secondLook = 250 * time.Millisecond

// ErrLater is for the cause of a ReadFar's context that ends though its reader will ask again:
// what was on its way from the bucket is there then.
var ErrLater = read.ErrLater

// ReadFar reads what ReadNear left, from where it said that it is. From the tier it reads
// one batch at least. Where the bucket or its memory isn't free before ctx ends, there is
// nothing, and the reader is to ask again.
func (rd *Reader) ReadFar(ctx context.Context, at Place, r Reading) (d Data, s State, err error) {
	if at == AtPeers {
		if at, err = rd.readTail(&r, &d, &s); at != InTier {
			return d, s, err
		}
	} else {
		s = rd.mu.state()
	}
	d, err = rd.readTier(ctx, &r)
	return d, s, err
}

// readTier reads from the bucket. Records that can't be read there are an error that clients
// show, once a second look by the present head has found the same.
func (rd *Reader) readTier(ctx context.Context, r *Reading) (d Data, err error) {
	tier := rd.deps.Tier
	if known := tier.HoleAt(rd.id, r.Offset); known != nil {
		return d, known
	}
	var found, before *object.HoleError
	for {
		d.lent, err = tier.Read(ctx, rd.mu.head(), rd.id, r.Offset, r.Limit)
		if !errors.As(err, &found) || found.Same(before) {
			break
		}
		before = found
		if backoff.Sleep(ctx, secondLook) != nil {
			return Data{}, nil
		}
	}
	switch {
	case err == nil:
		d.Pieces, d.Bytes, d.Tier = d.lent.Pieces, d.lent.Bytes, true
		return d, nil
	case errors.Is(err, read.ErrBelowStart):
		err = fmt.Errorf("%w: %w", ErrOutOfRange, err)
	case errors.Is(err, read.ErrBusy) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled): // the client left, or waits no longer
		err = nil
	case errors.Is(err, object.ErrHole):
		err = rd.foundHole(ctx, found)
	default:
		if log := rd.deps.Log; log != nil {
			log.Warn("read from the tier failed", "topic", rd.mu.topic(), "partition", rd.id.Index, "offset", r.Offset, "err", err)
		}
	}
	return Data{}, err
}

// foundHole notes a hole, if this agent still owns the partition: the head of one that doesn't
// may name what the owner has given up long since. It returns the reader's error.
func (rd *Reader) foundHole(ctx context.Context, e *object.HoleError) error {
	if err := rd.own.Confirm(ctx); err != nil {
		return err
	}
	if news := rd.deps.Tier.FoundHole(e, time.UnixMilli(rd.deps.Clock())); news && rd.deps.Log != nil {
		rd.deps.Log.Error("records can't be read: their object is gone from the bucket or damaged; fetches of these offsets are refused until it is back, or they are skipped ('varve tier holes')",
			"topic", rd.mu.topic(), "partition", rd.id.Index, "from", e.From, "to", e.To, "object", e.Key, "err", e.Err)
	}
	return e
}
