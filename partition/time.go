package partition

import (
	"cmp"
	"context"
	"errors"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/wal"
)

// FindTime returns the first committed record whose timestamp is at least at, if there is
// one. Where the local journals have the whole log it asks no other, else the tier first.
func (p *Partition) FindTime(ctx context.Context, at int64) (found Stamp, ok bool, err error) {
	err = p.withHead(func(head *metadata.Head) (err error) {
		s := p.State()
		from := s.LogStart
		if s.LocalStart <= s.LogStart {
			if found, ok, err = p.findHere(ctx, from, at); !errors.Is(err, wal.ErrGone) {
				return err
			}
		}
		if s.LogStart < head.TieredEnd {
			if found, ok, err = p.deps.Tier.FindTime(ctx, head, p.id, at); err != nil || ok {
				return err
			}
			from = head.TieredEnd
		}
		found, ok, err = p.findHere(ctx, from, at)
		return err
	})
	return found, ok, err
}

// findHere is FindTime for what the local journals have from an offset on. wal.ErrGone: a file
// that would have to be read was recycled, so the tier has its records. A batch whose largest
// timestamp only its producer knows is read as well.
func (p *Partition) findHere(ctx context.Context, from, at int64) (Stamp, bool, error) {
	start, s := p.readable()
	start = max(start, from)
	from = start
	for {
		hit, err := p.firstBatch(from, func(r *ref) bool { return r.maxTime >= at || !r.timeKnown() })
		if err != nil {
			return Stamp{}, false, err
		}
		if hit == nil || ctx.Err() != nil {
			return Stamp{}, false, ctx.Err()
		}
		b, err := p.batch(hit)
		if err != nil {
			return Stamp{}, false, err
		}
		p.learn(hit, b, s)
		found, ok, err := findInBatch(b, batchLimit(s), start, at)
		if kafka.Misleads(err) {
			err = nil // clients see what is wrong with it when they read it
		}
		if err != nil || ok {
			return found, ok, err
		}
		from = hit.end() // what it promised is not there, or below the log start
	}
}

// learn notes the largest timestamp of a batch's records, if only its producer knew it: it
// needn't be read again.
func (p *Partition) learn(l *located, b kafka.Batch, s *Settings) {
	if l.timeKnown() {
		return
	}
	newest := int64(kafka.NoTimestamp)
	err := b.Records(batchLimit(s), func(r *kafka.Record) error {
		newest = max(newest, r.Timestamp)
		return nil
	})
	if err != nil {
		return // the hint is all that can be had
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.mu.tail.find(l.base); i < len(p.mu.tail.refs) && p.mu.tail.refs[i].base == l.base {
		p.mu.tail.refs[i].know(newest)
	}
}

// readable returns the log start and the settings.
func (p *Partition) readable() (start int64, s *Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.logStart, p.mu.settings
}

// firstBatch returns the first batch, from the one that holds offset on, that is
// wanted. It fails with wal.ErrGone if the index has dropped the offset, since the tier has it.
func (p *Partition) firstBatch(offset int64, wanted func(*ref) bool) (*located, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.mu.tail.find(offset); offset < p.mu.head.TieredEnd && (i == len(p.mu.tail.refs) || p.mu.tail.refs[i].base > offset) {
		return nil, wal.ErrGone
	}
	for i := p.mu.tail.find(offset); i < len(p.mu.tail.refs); i++ {
		if r := &p.mu.tail.refs[i]; wanted(r) {
			return &located{*r, p.mu.tail.journal(r)}, nil
		}
	}
	return nil, nil
}

func (p *Partition) batch(l *located) (kafka.Batch, error) {
	b := make([]byte, l.size)
	if err := p.readAt(b, l.journal, l.pos, l.base, l.end(), l.epoch); err != nil {
		return nil, err
	}
	return b, nil
}

var errFound = errors.New("found")

// findInBatch returns the first record from offset start on with a timestamp of at
// least at.
func findInBatch(b kafka.Batch, limit int, start, at int64) (found Stamp, ok bool, err error) {
	err = b.Records(limit, func(r *kafka.Record) error {
		if r.Offset >= start && r.Timestamp >= at {
			found = stampOf(b, r)
			return errFound
		}
		return nil
	})
	if err == errFound {
		return found, true, nil
	}
	return found, false, err
}

func stampOf(b kafka.Batch, r *kafka.Record) Stamp {
	return Stamp{Offset: r.Offset, Time: r.Timestamp, Epoch: id.Epoch(b.LeaderEpoch())}
}

// MaxTime returns the committed record with the largest timestamp, the first of them if there
// are several; it is not ok if no record has one.
func (p *Partition) MaxTime(ctx context.Context) (best Stamp, ok bool, err error) {
	err = p.withHead(func(head *metadata.Head) (err error) {
		if best, ok, err = p.newestHere(ctx, head.TieredEnd); err != nil || head.LogStart >= head.TieredEnd {
			return err
		}
		far, found, err := p.deps.Tier.MaxTime(ctx, head, p.id)
		if found && (!ok || far.Time >= best.Time) {
			best, ok = far, true
		}
		return err
	})
	return best, ok && err == nil, err
}

// newestHere is MaxTime for what the local journals have from an offset on. Batches are found
// by their largest timestamps; those that reach below the log start, and those whose largest
// timestamp only the producer knows, are read. What the tier has is left to it: the journal's
// files may be gone.
func (p *Partition) newestHere(ctx context.Context, from int64) (best Stamp, ok bool, err error) {
	start, s := p.readable()
	start = max(start, from)
	best.Time = -1
	unsure := func(r *ref) bool { return r.base < start || !r.timeKnown() }
	for from := start; ; {
		hit, err := p.firstBatch(from, unsure)
		if err != nil {
			return best, false, err
		}
		if hit == nil {
			break
		}
		if best, err = p.newerIn(hit, s, start, best); err != nil || ctx.Err() != nil {
			return best, false, cmp.Or(err, ctx.Err())
		}
		from = hit.end()
	}
	newest, before := best.Time, best.Offset
	var hit *located
	if _, err := p.firstBatch(start, func(r *ref) bool {
		if !unsure(r) && (r.maxTime > newest || r.maxTime == newest && r.base < before) {
			newest, before, hit = r.maxTime, r.base, &located{*r, p.mu.tail.journal(r)}
		}
		return false
	}); err != nil {
		return best, false, err
	}
	if hit != nil {
		best, err = p.newerIn(hit, s, start, best)
	}
	return best, err == nil && best.Time >= 0, err
}

// newerIn returns the first record with the largest timestamp of best and of a batch's
// records from offset start on.
func (p *Partition) newerIn(l *located, s *Settings, start int64, best Stamp) (Stamp, error) {
	found, err := p.newestIn(l, s, start)
	if err == nil && (found.Time > best.Time || found.Time == best.Time && found.Time >= 0 && found.Offset < best.Offset) {
		best = found
	}
	return best, err
}

// newestIn returns the first record with a batch's largest timestamp, from offset
// start on; its time is -1 if there is none.
func (p *Partition) newestIn(l *located, s *Settings, start int64) (newest Stamp, err error) {
	newest.Time = -1
	b, err := p.batch(l)
	if err != nil {
		return newest, err
	}
	p.learn(l, b, s)
	err = b.Records(batchLimit(s), func(r *kafka.Record) error {
		if r.Offset >= start && r.Timestamp > newest.Time {
			newest = stampOf(b, r)
		}
		return nil
	})
	if kafka.Misleads(err) {
		err = nil
	}
	return newest, err
}
