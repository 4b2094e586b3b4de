package partition

import (
	"cmp"
	"context"
	"errors"

	"varve/kafka"
	"varve/metadata/schema"
	"varve/tiering/object"
	"varve/wal"
)

// FindTime returns the first committed record whose timestamp is at least at, if there is
// one. Where the local journals have the whole log it asks no other, else the tier first.
func (rd *Reader) FindTime(ctx context.Context, at int64) (found Stamp, ok bool, err error) {
	err = rd.withHead(func(head *schema.Head) (err error) {
		s := rd.mu.state()
		from := s.LogStart
		if s.LocalStart <= s.LogStart {
			if found, ok, err = rd.searchFrom(from).first(ctx, at); !errors.Is(err, wal.ErrGone) {
				return err
			}
		}
		if s.LogStart < head.TieredEnd {
			if found, ok, err = rd.deps.Tier.FindTime(ctx, head, rd.id, at); err != nil || ok {
				return err
			}
			from = head.TieredEnd
		}
		found, ok, err = rd.searchFrom(from).first(ctx, at)
		return err
	})
	return found, ok, err
}

// timeSearch looks for records by time in what the local journals have.
type timeSearch struct {
	local Local
	mu    *guarded
	start int64 // of the records that count
	limit int   // of what a batch may decompress to
}

// searchFrom makes a search from an offset on, or from the log start.
func (rd *Reader) searchFrom(offset int64) timeSearch {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return timeSearch{rd.deps.Local, rd.mu, max(rd.mu.log.start, offset), batchLimit(rd.mu.settings)}
}

// first returns the first record whose timestamp is at least at. wal.ErrGone: a file
// that would have to be read was recycled, so the tier has its records. A batch whose largest
// timestamp only its producer knows is read as well.
func (ts timeSearch) first(ctx context.Context, at int64) (Stamp, bool, error) {
	for from := ts.start; ; {
		hit, err := ts.batch(from, func(r *ref) bool { return r.maxTime >= at || !r.timeKnown() })
		if err != nil {
			return Stamp{}, false, err
		}
		if hit == nil || ctx.Err() != nil {
			return Stamp{}, false, ctx.Err()
		}
		b, err := ts.read(hit)
		if err != nil {
			return Stamp{}, false, err
		}
		found, ok, err := object.FirstSince(b, ts.limit, ts.start, at)
		if err != nil || ok {
			return found, ok, err
		}
		from = hit.end() // what it promised is not there, or below the log start
	}
}

// read reads a batch. If only its producer knew the largest timestamp of its records, that
// is noted: the batch needn't be read again.
func (ts timeSearch) read(l *located) (kafka.Batch, error) {
	b, err := l.read(ts.local)
	if err == nil && !l.timeKnown() {
		ts.learn(l, b)
	}
	return b, err
}

// learn notes the largest timestamp of a batch's records.
func (ts timeSearch) learn(l *located, b kafka.Batch) {
	newest := int64(kafka.NoTimestamp)
	err := b.Records(ts.limit, func(r *kafka.Record) error {
		newest = max(newest, r.Timestamp)
		return nil
	})
	if err != nil {
		return // the hint is all that can be had
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if i := ts.mu.log.tail.find(l.base); i < len(ts.mu.log.tail.refs) && ts.mu.log.tail.refs[i].base == l.base {
		ts.mu.log.tail.refs[i].know(newest)
	}
}

// batch returns the first batch, from the one that holds offset on, that is wanted; nil if
// there is none. It fails with wal.ErrGone if the index has dropped the offset, since the tier
// has it.
func (ts timeSearch) batch(offset int64, wanted func(*ref) bool) (*located, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if i := ts.mu.log.tail.find(offset); offset < ts.mu.log.head.TieredEnd && (i == len(ts.mu.log.tail.refs) || ts.mu.log.tail.refs[i].base > offset) {
		return nil, wal.ErrGone
	}
	for i := ts.mu.log.tail.find(offset); i < len(ts.mu.log.tail.refs); i++ {
		if r := &ts.mu.log.tail.refs[i]; wanted(r) {
			return &located{*r, ts.mu.log.tail.journal(r)}, nil
		}
	}
	return nil, nil
}

// MaxTime returns the committed record with the largest timestamp, the first of them if there
// are several; it is not ok if no record has one.
func (rd *Reader) MaxTime(ctx context.Context) (best Stamp, ok bool, err error) {
	err = rd.withHead(func(head *schema.Head) (err error) {
		if best, ok, err = rd.searchFrom(head.TieredEnd).newest(ctx); err != nil || head.LogStart >= head.TieredEnd {
			return err
		}
		far, found, err := rd.deps.Tier.MaxTime(ctx, head, rd.id)
		if found && (!ok || far.Time >= best.Time) {
			best, ok = far, true
		}
		return err
	})
	return best, ok && err == nil, err
}

// newest returns the record with the largest timestamp. Batches are found by their largest
// timestamps; those that reach below the start, and those whose largest timestamp only the
// producer knows, are read. What the tier has is left to it: the journal's files may be gone.
func (ts timeSearch) newest(ctx context.Context) (best Stamp, ok bool, err error) {
	best.Time = -1
	unsure := func(r *ref) bool { return r.base < ts.start || !r.timeKnown() }
	for from := ts.start; ; {
		hit, err := ts.batch(from, unsure)
		if err != nil {
			return best, false, err
		}
		if hit == nil {
			break
		}
		if best, err = ts.newerIn(hit, best); err != nil || ctx.Err() != nil {
			return best, false, cmp.Or(err, ctx.Err())
		}
		from = hit.end()
	}
	newest, before := best.Time, best.Offset
	var hit *located
	_, err = ts.batch(ts.start, func(r *ref) bool {
		if !unsure(r) && (r.maxTime > newest || r.maxTime == newest && r.base < before) {
			newest, before, hit = r.maxTime, r.base, &located{*r, ts.mu.log.tail.journal(r)}
		}
		return false
	})
	if err != nil {
		return best, false, err
	}
	if hit != nil {
		best, err = ts.newerIn(hit, best)
	}
	return best, err == nil && best.Time >= 0, err
}

// newerIn returns the first record with the largest timestamp of best and of a batch's
// records that count.
func (ts timeSearch) newerIn(l *located, best Stamp) (Stamp, error) {
	found, err := ts.newestIn(l)
	if err == nil && (found.Time > best.Time || found.Time == best.Time && found.Time >= 0 && found.Offset < best.Offset) {
		best = found
	}
	return best, err
}

// newestIn returns the first record with the largest timestamp of those of a batch that
// count; its time is -1 if there is none.
func (ts timeSearch) newestIn(l *located) (newest Stamp, err error) {
	newest.Time = -1
	b, err := ts.read(l)
	if err != nil {
		return newest, err
	}
	err = b.Records(ts.limit, func(r *kafka.Record) error {
		if r.Offset >= ts.start && r.Timestamp > newest.Time {
			newest = object.StampOf(b, r)
		}
		return nil
	})
	if kafka.Misleads(err) {
		err = nil
	}
	return newest, err
}
