package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"varve/internal/id"
	"varve/kafka"
	"varve/meter"
	"varve/wal"
)

// Appender appends to a partition what producers send.
type Appender struct {
	id      id.Partition
	deps    *Deps
	mu      *guarded
	own     *Ownership
	traffic *meter.Traffic // counts what clients do; nil: nothing does
}

// Append stores one batch that a producer sent, which must be whole
// (kafka.Next). It checks the batch, drops repetitions, assigns offsets, writes
// the broker's fields into b, and copies it into the journal. done hears when
// the batch is committed, or why it will not be. Append waits while the journal
// has no room, at most until ctx ends. now is the time that counts as the append's,
// by Partition.Now. epoch is the leader epoch that the client believes in, or NoEpoch. A
// sequence is ErrOutOfOrder only if this agent certainly is the owner, else ErrNotOwner.
func (w *Appender) Append(ctx context.Context, b kafka.Batch, now int64, epoch id.Epoch, done Done) error {
	w.mu.Lock()
	s := w.mu.settings
	w.mu.Unlock()
	in, err := admit(b, s, now, w.deps.TrustHeaders, kafka.WorkOf(ctx))
	if err != nil {
		return err
	}
	if in.ProducerID() >= 0 {
		if err := w.recallFor(ctx, in.Batch); err != nil {
			return err
		}
	}
	for {
		room := w.deps.Journal.Room()
		err := w.append(in, epoch, done)
		if err == errPaused {
			select {
			case <-w.unpaused():
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(err, ErrOutOfOrder) { // perhaps a new owner has what is missing here
			return cmp.Or(w.own.Confirm(ctx), err)
		}
		if !wal.IsBusy(err) {
			return owned(err)
		}
		if err := w.deps.Journal.Wait(ctx, room); err != nil {
			return owned(err)
		}
	}
}

// unpaused returns a channel that is closed when appends may be tried again.
func (w *Appender) unpaused() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.gate.paused == nil {
		return closed
	}
	return w.mu.gate.paused
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// owned returns an error of an append. A journal that takes no further appends belongs to an
// agent that no longer owns the partition.
func owned(err error) error {
	if errors.Is(err, wal.ErrClosed) && !errors.Is(err, ErrNotOwner) {
		return fmt.Errorf("%w: %w", ErrNotOwner, err)
	}
	return err
}

// append is Append's part under the lock: memory only.
func (w *Appender) append(b admitted, epoch id.Epoch, done Done) error {
	w.mu.Lock()
	if err := w.mu.log.checkEpoch(epoch); err != nil {
		w.mu.Unlock()
		return err
	}
	if w.mu.gate.paused != nil {
		w.mu.Unlock()
		return errPaused
	}
	if b.ProducerID() >= 0 {
		repeated, err := w.mu.producers.check(b.Batch)
		if err != nil {
			w.mu.Unlock()
			return err
		}
		if repeated != nil {
			base := repeated.Base
			end := base + int64(b.LastDelta()) + 1
			waits := end > w.mu.log.high
			if waits {
				w.mu.pending.insert(waiter{end, base, done})
			}
			w.mu.Unlock()
			if !waits {
				done.Appended(base, nil)
			}
			return nil
		}
	}
	err := w.store(b, done)
	w.mu.Unlock()
	return err
}

func (w *Appender) store(b admitted, done Done) error {
	base := w.mu.log.next
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(int32(w.mu.log.epoch))
	a := appends.Get().(*inFlight)
	a.w = w
	a.rec = wal.Record{
		Partition: w.id, Epoch: w.mu.log.epoch, Base: base, LastDelta: b.LastDelta(), Count: b.Count(), BodyCRC: b.CRC(),
		ProducerID: b.ProducerID(), BaseSequence: b.BaseSequence(), ProducerEpoch: b.ProducerEpoch(),
		Attributes: uint16(b.Attributes()), BaseTime: b.BaseTimestamp(), MaxTime: b.MaxTimestamp(), TimeKnown: b.exact,
	}
	if err := w.deps.Journal.Append(&a.rec, b.Batch, a); err != nil {
		a.free()
		return err
	}
	w.mu.log.next = base + int64(b.LastDelta()) + 1
	w.mu.producers.note(b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastDelta(), base, w.deps.Clock())
	if n := w.mu.producers.shed(); n > 0 && w.deps.Metrics != nil {
		w.deps.Metrics.shed.Add(float64(n))
	}
	if done != nil {
		w.mu.pending = append(w.mu.pending, waiter{w.mu.log.next, base, done})
	}
	return nil
}

// inFlight is an append on its way through the journal.
type inFlight struct {
	w   *Appender
	rec wal.Record
}

var appends = sync.Pool{New: func() any { return new(inFlight) }}

func (a *inFlight) free() {
	a.w = nil
	appends.Put(a)
}

// Committed moves the high watermark and wakes those that wait for that.
func (a *inFlight) Committed(j id.Journal, pos wal.Pos, _ uint64) {
	w, rec := a.w, &a.rec
	w.mu.Lock()
	w.mu.log.tail.push(j, refOf(rec, pos))
	w.mu.backlog.add(int64(rec.Size), w.deps.Clock)
	w.mu.work.count(int64(rec.Size))
	if w.traffic != nil {
		w.traffic.In(int64(rec.Size), int64(rec.Count))
	}
	w.mu.log.high = max(w.mu.log.high, rec.End())
	w.mu.gate.settle(w.mu.log.quiet())
	var one [1]waiter
	told := w.mu.pending.take(one[:0], w.mu.log.high)
	w.mu.watchers.tell(int64(rec.Size))
	w.mu.Unlock()
	a.free()
	for i := range told {
		told[i].done.Appended(told[i].base, nil)
	}
}

// Failed closes the partition: its offsets have run ahead of the journal.
func (a *inFlight) Failed(err error) {
	w := a.w
	a.free()
	w.mu.close(fmt.Errorf("%w: %w", ErrNotOwner, err))
}
