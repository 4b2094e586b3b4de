package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"varve/internal/id"
	"varve/kafka"
	"varve/wal"
)

// Append stores one batch that a producer sent, which must be whole
// (kafka.Next). It checks the batch, drops repetitions, assigns offsets, writes
// the broker's fields into b, and copies it into the journal. done hears when
// the batch is committed, or why it will not be. Append waits while the journal
// has no room, at most until ctx ends. now is the time that counts as the append's,
// by Now. epoch is the leader epoch that the client believes in, or NoEpoch. A
// sequence is ErrOutOfOrder only if this agent certainly is the owner, else ErrNotOwner.
func (p *Partition) Append(ctx context.Context, b kafka.Batch, now int64, epoch id.Epoch, done Done) error {
	s := p.Settings()
	in, err := admit(b, s, now, p.deps.TrustHeaders, kafka.WorkOf(ctx))
	if err != nil {
		return err
	}
	if in.ProducerID() >= 0 {
		if err := p.recallFor(ctx, in.Batch); err != nil {
			return err
		}
	}
	for {
		room := p.deps.Journal.Room()
		err := p.append(in, epoch, done)
		if err == errPaused {
			select {
			case <-p.unpaused():
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(err, ErrOutOfOrder) { // perhaps a new owner has what is missing here
			return cmp.Or(p.Confirm(ctx), err)
		}
		if !wal.IsBusy(err) {
			return owned(err)
		}
		if err := p.deps.Journal.Wait(ctx, room); err != nil {
			return owned(err)
		}
	}
}

// owned returns an error of an append. A journal that takes no further appends belongs to an
// agent that no longer owns the partition.
func owned(err error) error {
	if errors.Is(err, wal.ErrClosed) && !errors.Is(err, ErrNotOwner) {
		return fmt.Errorf("%w: %w", ErrNotOwner, err)
	}
	return err
}

// append is Append's part under the lock: memory only.
func (p *Partition) append(b admitted, epoch id.Epoch, done Done) error {
	p.mu.Lock()
	if err := p.mu.log.checkEpoch(epoch); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.mu.gate.paused != nil {
		p.mu.Unlock()
		return errPaused
	}
	if b.ProducerID() >= 0 {
		repeated, err := p.mu.producers.check(b.Batch)
		if err != nil {
			p.mu.Unlock()
			return err
		}
		if repeated != nil {
			base := repeated.Base
			end := base + int64(b.LastDelta()) + 1
			waits := end > p.mu.log.high
			if waits {
				p.mu.pending.insert(waiter{end, base, done})
			}
			p.mu.Unlock()
			if !waits {
				done.Appended(base, nil)
			}
			return nil
		}
	}
	err := p.store(b, done)
	p.mu.Unlock()
	return err
}

func (p *Partition) store(b admitted, done Done) error {
	base := p.mu.log.next
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(int32(p.mu.log.epoch))
	a := appends.Get().(*inFlight)
	a.p = p
	a.rec = wal.Record{
		Partition: p.id, Epoch: p.mu.log.epoch, Base: base, LastDelta: b.LastDelta(), Count: b.Count(), BodyCRC: b.CRC(),
		ProducerID: b.ProducerID(), BaseSequence: b.BaseSequence(), ProducerEpoch: b.ProducerEpoch(),
		Attributes: uint16(b.Attributes()), BaseTime: b.BaseTimestamp(), MaxTime: b.MaxTimestamp(), TimeKnown: b.exact,
	}
	if err := p.deps.Journal.Append(&a.rec, b.Batch, a); err != nil {
		a.free()
		return err
	}
	p.mu.log.next = base + int64(b.LastDelta()) + 1
	p.mu.producers.note(b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastDelta(), base, p.deps.Clock())
	if n := p.mu.producers.shed(); n > 0 && p.deps.Metrics != nil {
		p.deps.Metrics.shed.Add(float64(n))
	}
	if done != nil {
		p.mu.pending = append(p.mu.pending, waiter{p.mu.log.next, base, done})
	}
	return nil
}

// inFlight is an append on its way through the journal.
type inFlight struct {
	p   *Partition
	rec wal.Record
}

var appends = sync.Pool{New: func() any { return new(inFlight) }}

func (a *inFlight) free() {
	a.p = nil
	appends.Put(a)
}

// Committed moves the high watermark and wakes those that wait for that.
func (a *inFlight) Committed(j id.Journal, pos wal.Pos, _ uint64) {
	p, rec := a.p, &a.rec
	p.mu.Lock()
	p.mu.log.tail.push(j, refOf(rec, pos))
	p.mu.backlog.add(int64(rec.Size), p.deps.Clock)
	p.mu.work.count(int64(rec.Size))
	if p.traffic != nil {
		p.traffic.In(int64(rec.Size), int64(rec.Count))
	}
	p.mu.log.high = max(p.mu.log.high, rec.End())
	p.mu.gate.settle(p.mu.log.quiet())
	var one [1]waiter
	told := p.mu.pending.take(one[:0], p.mu.log.high)
	p.mu.watchers.tell(int64(rec.Size))
	p.mu.Unlock()
	a.free()
	for i := range told {
		told[i].done.Appended(told[i].base, nil)
	}
}

// Failed closes the partition: its offsets have run ahead of the journal.
func (a *inFlight) Failed(err error) {
	p := a.p
	a.free()
	p.fail(fmt.Errorf("%w: %w", ErrNotOwner, err))
}
