package read

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// errStop ends a walk early.
var errStop = errors.New("stop")

// FindTime returns the first record in the tier whose timestamp is at least at, if
// there is one (ListOffsets by time). Slices whose timestamps are hints are read.
func (r *Reader) FindTime(ctx context.Context, h *schema.Head, p id.Partition, at int64) (found object.Stamp, ok bool, err error) {
	if err := r.enter(); err != nil {
		return found, false, err
	}
	defer r.leave()
	err = manifest.Walk(ctx, r, h, p, h.LogStart, func(s manifest.Span) bool { return s.Hint || s.MaxTime >= at }, func(s *schema.Slice) error {
		if !s.Object.TimesKnown() {
			if newest, err := r.newestIn(ctx, s); err != nil || newest < at {
				return err
			}
		}
		if found, ok, err = r.findInSlice(ctx, s, h.LogStart, at); err == nil && ok {
			err = errStop
		}
		return err
	})
	if err != nil && err != errStop {
		return object.Stamp{}, false, fmt.Errorf("find time %d in %v: %w", at, p, err)
	}
	return found, ok, nil
}

// findInSlice looks into the blocks that may hold such a record.
func (r *Reader) findInSlice(ctx context.Context, s *schema.Slice, start, at int64) (found object.Stamp, ok bool, err error) {
	x, err := r.parts.index(ctx, s)
	if err != nil {
		return found, false, err
	}
	for i := range x.Blocks {
		k := &x.Blocks[i]
		if k.MaxTime < at && s.Object.TimesKnown() || k.End <= start {
			continue
		}
		err := r.eachBatch(ctx, s.Object, k, func(b kafka.Batch) error {
			if b.NextOffset() <= start {
				return nil
			}
			// The batch's own header may be wrong even where the block's maximum is right.
			found, ok, err = object.FirstSince(b, r.cfg.MaxRecordBytes, start, at)
			if err == nil && ok {
				err = errStop
			}
			return err
		})
		if err != nil && err != errStop {
			return found, false, err
		}
		if ok {
			return found, true, nil
		}
	}
	return found, false, nil
}

func (r *Reader) eachBatch(ctx context.Context, o schema.Object, k *object.Block, each func(kafka.Batch) error) error {
	p, b, err := r.parts.block(ctx, o, k, true)
	if err != nil {
		return err
	}
	defer b.release()
	for len(p) > 0 {
		batch, rest, err := kafka.Next(p)
		if err != nil {
			return &object.CorruptError{Key: object.Key(o), At: k.At, Err: err}
		}
		if err := each(batch); err != nil {
			return err
		}
		p = rest
	}
	return nil
}

// MaxTime returns the record with the largest timestamp in the tier, the first of
// them if there are several; not ok if no record has a timestamp.
func (r *Reader) MaxTime(ctx context.Context, h *schema.Head, p id.Partition) (object.Stamp, bool, error) {
	if err := r.enter(); err != nil {
		return object.Stamp{}, false, err
	}
	newest, err := r.maxTime(ctx, h, p)
	r.leave()
	if err != nil || newest < 0 {
		return object.Stamp{}, false, err
	}
	return r.FindTime(ctx, h, p, newest)
}

// maxTime goes by the summaries of all that is after the log start, and by the
// records of the slice in which it is and of those whose timestamps are hints.
func (r *Reader) maxTime(ctx context.Context, h *schema.Head, p id.Partition) (int64, error) {
	newest := int64(-1)
	whole := func(s manifest.Span) bool {
		if s.Base >= h.LogStart && !s.Hint {
			newest = max(newest, s.MaxTime)
			return false
		}
		return s.Hint || s.MaxTime > newest
	}
	err := manifest.Walk(ctx, r, h, p, h.LogStart, whole, func(s *schema.Slice) (err error) {
		var t int64
		if s.Base >= h.LogStart {
			t, err = r.newestIn(ctx, s)
		} else {
			t, err = r.maxTimeFrom(ctx, s, h.LogStart)
		}
		newest = max(newest, t)
		return err
	})
	return newest, err
}

// NewestIn returns the largest timestamp of a slice's records, -1 if none has one.
func (r *Reader) NewestIn(ctx context.Context, s *schema.Slice) (int64, error) {
	if err := r.enter(); err != nil {
		return -1, err
	}
	defer r.leave()
	return r.newestIn(ctx, s)
}

// newestIn returns the largest timestamp of a slice's records, -1 if none has one. It reads
// them all if the slice's timestamps are hints, and remembers what it found.
func (r *Reader) newestIn(ctx context.Context, s *schema.Slice) (int64, error) {
	v, err := r.parts.meta.get(ctx, cacheKey{kindNewest, s.Object, s.IndexAt}, nil, func(ctx context.Context) (any, int64, error) {
		newest, err := r.maxTimeFrom(ctx, s, s.Base)
		return newest, 64, err
	})
	if err != nil {
		return -1, err
	}
	return v.(int64), nil
}

// maxTimeFrom returns the largest timestamp of a slice's records from offset start on.
func (r *Reader) maxTimeFrom(ctx context.Context, s *schema.Slice, start int64) (int64, error) {
	newest := int64(-1)
	x, err := r.parts.index(ctx, s)
	if err != nil {
		return newest, err
	}
	for i := range x.Blocks {
		k := &x.Blocks[i]
		if k.Base >= start && s.Object.TimesKnown() {
			newest = max(newest, k.MaxTime)
			continue
		}
		if k.End <= start {
			continue
		}
		err := r.eachBatch(ctx, s.Object, k, func(b kafka.Batch) error {
			t, err := newestRecord(b, r.cfg.MaxRecordBytes, start)
			newest = max(newest, t)
			return err
		})
		if err != nil {
			return newest, err
		}
	}
	return newest, nil
}

// newestRecord returns the largest timestamp of a batch's records from offset start on. Of
// records that can't be read the header is believed.
func newestRecord(b kafka.Batch, limit int, start int64) (int64, error) {
	newest := int64(-1)
	err := b.Records(limit, func(rec *kafka.Record) error {
		if rec.Offset >= start {
			newest = max(newest, rec.Timestamp)
		}
		return nil
	})
	if kafka.Misleads(err) {
		return max(newest, b.MaxTimestamp()), nil
	}
	return newest, err
}

// EpochEnd returns, for a leader epoch, the largest epoch in the tier that is at most
// e and the offset at which it ended (KIP-101): where the next one begins. Not ok:
// the tier has no epoch above e, so what isn't tiered yet decides. Where the tier
// has none up to e either, the answer is e itself and where the first one begins,
// as Kafka has it.
func (r *Reader) EpochEnd(ctx context.Context, h *schema.Head, p id.Partition, e id.Epoch) (found id.Epoch, end int64, ok bool, err error) {
	if err := r.enter(); err != nil {
		return id.NoEpoch, -1, false, err
	}
	defer r.leave()
	var hit *schema.Slice
	err = manifest.Walk(ctx, r, h, p, h.LogStart, func(s manifest.Span) bool { return s.MaxEpoch > e }, func(s *schema.Slice) error {
		hit = s
		return errStop
	})
	if hit == nil {
		return id.NoEpoch, -1, false, err
	}
	x, err := r.parts.index(ctx, hit)
	if err != nil {
		return id.NoEpoch, -1, false, err
	}
	found = e
	for _, s := range x.Epochs {
		if s.Epoch > e {
			end = s.Start
			break
		}
		found = s.Epoch
	}
	if end > hit.Base || hit.Base <= h.LogStart {
		return found, max(end, h.LogStart), true, nil
	}
	before, err := manifest.Locate(ctx, r, h, p, hit.Base-1)
	if err != nil {
		return id.NoEpoch, -1, false, err
	}
	return before[0].MaxEpoch, end, true, nil
}

// Producers returns the producers as they were after the newest slice, also if that
// is below the log start. None if the head names no slice: all are forgotten.
func (r *Reader) Producers(ctx context.Context, h *schema.Head, p id.Partition) ([]object.Producer, error) {
	if len(h.Slices) == 0 && h.Manifest.Slices == 0 {
		return nil, nil
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	run, err := manifest.Locate(ctx, r, h, p, h.TieredEnd-1)
	if err != nil {
		return nil, err
	}
	x, err := r.parts.index(ctx, &run[0])
	if err != nil {
		return nil, err
	}
	if x.StateLen == 0 {
		return nil, &object.CorruptError{Key: object.Key(run[0].Object), At: run[0].IndexAt, Err: errors.New("the newest slice has no producer state")}
	}
	return r.parts.state(ctx, run[0].Object, x)
}

// AbortedIn returns the aborted transactions that overlap [from, to) in the tier, in
// order of their last offsets (Fetch with read_committed).
func (r *Reader) AbortedIn(ctx context.Context, h *schema.Head, p id.Partition, from, to int64) ([]object.Aborted, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	var all []object.Aborted
	seen := map[object.Aborted]bool{}
	err := manifest.Walk(ctx, r, h, p, max(from, h.LogStart), func(s manifest.Span) bool { return s.Base < to }, func(s *schema.Slice) error {
		x, err := r.parts.index(ctx, s)
		if err != nil {
			return err
		}
		for _, a := range x.Aborted {
			if a.First < to && a.Last >= from && !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("aborted transactions of %v: %w", p, err)
	}
	return all, nil
}
