package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// next takes the groups of the next transaction out of the queue, in order,
// passing over those that have to wait for a key. end says that there will be
// no more.
func (w *Writer) next() (pack []*group, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.inFlight >= w.cfg.MaxInFlight {
		return nil, false
	}
	p := packer{cfg: w.cfg, busy: w.mu.busy, passed: keyLocks{}, taken: keyLocks{}}
	rest := w.mu.queue[:0]
	for i, g := range w.mu.queue {
		if p.full {
			rest = append(rest, w.mu.queue[i:]...)
			break
		}
		if !p.add(g) {
			rest = append(rest, g)
			continue
		}
		if g.set && w.mu.latest[g.ops[0].Key] == g {
			delete(w.mu.latest, g.ops[0].Key)
		}
	}
	clear(w.mu.queue[len(rest):])
	w.mu.queue = rest
	w.metrics.queued.Set(float64(len(rest)))
	for _, g := range p.pack {
		w.mu.busy.take(g)
	}
	if len(p.pack) > 0 {
		w.mu.inFlight++
	}
	return p.pack, w.mu.closed && len(rest) == 0
}

// maxPassed is how many groups that have to wait the packer looks behind.
const maxPassed = 1024

// packer gathers groups into one transaction.
type packer struct {
	cfg    WriterConfig
	busy   keyLocks // of transactions under way
	passed keyLocks // of groups that were passed over, and so come first
	taken  keyLocks // of the groups in the pack
	mods   map[string]Revision
	pack   []*group
	behind int // how many were passed over
	ops    int
	guards int
	bytes  int
	full   bool
}

// add takes a group into the pack if it may go now. A group for which there is
// no room ends the pack, so that it comes first in the next.
func (p *packer) add(g *group) bool {
	if !p.busy.free(g) || !p.passed.free(g) || !p.taken.free(g) || !p.agrees(g) {
		p.passed.take(g)
		p.behind++
		p.full = p.behind >= maxPassed
		return false
	}
	if len(p.pack) > 0 && (p.ops+len(g.ops) > p.cfg.MaxOps ||
		p.guards+len(g.guards) > p.cfg.MaxOps || p.bytes+g.size > p.cfg.MaxBytes) {
		p.full = true
		return false
	}
	p.taken.take(g)
	p.pack = append(p.pack, g)
	p.ops, p.guards, p.bytes = p.ops+len(g.ops), p.guards+len(g.guards), p.bytes+g.size
	return true
}

// agrees says whether the group's guards ask the same of a key as those in the
// pack: if not, one of them loses, and had better not take the others along.
func (p *packer) agrees(g *group) bool {
	for _, gd := range g.guards {
		if mod, ok := p.mods[gd.Key]; ok && mod != gd.Mod {
			return false
		}
	}
	if p.mods == nil {
		p.mods = map[string]Revision{}
	}
	for _, gd := range g.guards {
		p.mods[gd.Key] = gd.Mod
	}
	return true
}

// send applies a pack and answers its groups; it returns when all are answered.
// It is sent again after an outage, and in halves if a guard failed.
func (w *Writer) send(pack []*group) {
	wait := retryWait{}
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
			wait.sleep(w.ctx)
		case len(pack) > 1 && w.ctx.Err() == nil:
			// Somebody's fault, but whose? The others must not suffer.
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

// drop answers the groups that nobody waits for any more, and all when the
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

// settle finds out whether a group that may have been applied, and whose guards
// fail now, was; true means that it is answered.
func (w *Writer) settle(g *group, conflict error, wait *retryWait) bool {
	rev, err := w.applied(g)
	switch {
	case err == nil && rev != 0:
		w.answer([]*group{g}, rev, nil)
	case err == nil:
		w.log.Warn("guarded write failed after an outage; whether it was applied before is unknown", "key", g.ops[0].Key)
		w.answer([]*group{g}, 0, conflict)
	case errors.Is(err, ErrUnavailable):
		wait.sleep(w.ctx)
		return false
	default:
		w.answer([]*group{g}, 0, err)
	}
	return true
}

// applied is the revision at which a group was applied, zero if its keys don't
// say that: all that it put must hold its values since one revision that is
// later than its guards', and all that it deleted must be absent.
func (w *Writer) applied(g *group) (Revision, error) {
	var rev Revision
	var check []Guard
	for _, o := range g.ops {
		if o.Delete {
			check = append(check, Guard{Key: o.Key})
			continue
		}
		kv, err := w.store.Get(w.ctx, o.Key)
		switch {
		case errors.Is(err, ErrNotFound):
			return 0, nil
		case err != nil:
			return 0, err
		case !sameWrite(kv, o) || rev != 0 && kv.Mod != rev:
			return 0, nil
		}
		rev = kv.Mod
		check = append(check, Guard{Key: o.Key, Mod: rev})
	}
	older := func(gd Guard) bool { return rev != 0 && gd.Mod >= rev }
	if slices.ContainsFunc(g.guards, older) {
		return 0, nil
	}
	// All of it at one moment; it also gives a revision to deletes alone.
	now, err := w.store.Txn(w.ctx, check)
	switch {
	case errors.Is(err, ErrConflict):
		return 0, nil
	case err != nil:
		return 0, err
	case rev == 0:
		return now, nil
	}
	return rev, nil
}

func sameWrite(kv KV, o Op) bool {
	return string(kv.Value) == string(o.Value) && kv.Lease == o.Lease
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
