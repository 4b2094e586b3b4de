package metadata

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"varve/internal/backoff"
)

// run sends until the writer is closed and everything is answered.
func (w *Writer) run() {
	defer close(w.done)
	var senders sync.WaitGroup
	defer senders.Wait()
	for {
		pack, end := w.next()
		switch {
		case len(pack) > 0:
			senders.Go(func() { w.deliver(pack) })
		case end:
			return
		default:
			<-w.kick // from push, deliver and Close
		}
	}
}

// deliver sends a pack and frees its keys.
func (w *Writer) deliver(pack []*group) {
	w.send(pack)
	w.mu.Lock()
	w.mu.inFlight--
	for _, g := range pack {
		w.mu.busy.drop(g)
	}
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// send applies a pack and answers its groups; it returns when all are answered.
// It is sent again after an outage, and in halves if a guard failed.
func (w *Writer) send(pack []*group) {
	wait := backoff.Retry{Policy: retries, Random: w.cfg.Random}
	for {
		if pack = w.drop(pack); len(pack) == 0 {
			return
		}
		rev, err := w.txn(pack)
		switch {
		case err == nil:
			w.answer(pack, rev, nil)
			return
		case errors.Is(err, ErrUnavailable):
			w.doubt(pack)
			w.metrics.retries.Inc()
			_ = wait.Wait(w.ctx)
		case len(pack) > 1 && w.ctx.Err() == nil:
			// Someone's fault, but whose? The others must not suffer.
			w.metrics.splits.Inc()
			w.send(pack[:len(pack)/2])
			w.send(pack[len(pack)/2:])
			return
		case errors.Is(err, ErrConflict) && pack[0].maybe && len(pack[0].ops) > 0:
			if w.settle(pack[0], err, &wait) {
				return
			}
		default:
			w.answer(pack, 0, err)
			return
		}
	}
}

// txn sends a pack as one transaction.
func (w *Writer) txn(pack []*group) (Revision, error) {
	var guards []Guard
	var ops []Op
	for _, g := range pack {
		guards = append(guards, g.guards...)
		ops = append(ops, g.ops...)
	}
	w.metrics.txns.Inc()
	w.metrics.ops.Observe(float64(len(ops)))
	return w.store.Txn(w.ctx, guards, ops...)
}

// drop answers the groups that no one waits for any more, and all when the
// writer gave up, and returns the others.
func (w *Writer) drop(pack []*group) []*group {
	var rest []*group
	for _, g := range pack {
		err := g.wanted()
		if w.ctx.Err() != nil {
			err = ErrClosed
		}
		if err == nil {
			rest = append(rest, g)
			continue
		}
		if g.maybe {
			err = fmt.Errorf("%w, after: %w", err, ErrUnavailable)
		}
		w.answer([]*group{g}, 0, err)
	}
	return rest
}

func (w *Writer) doubt(pack []*group) {
	for _, g := range pack {
		g.maybe = true
	}
}

// answer tells the callers of groups and makes room.
func (w *Writer) answer(pack []*group, rev Revision, err error) {
	if err != nil && w.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	for _, g := range pack {
		for _, c := range g.callers {
			c.done(rev, err)
		}
		w.release(1+g.joined, g.held)
	}
}
