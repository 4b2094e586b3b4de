package agent

import "context"

// leave hands all partitions to the other agents before this one stops; the
// controller takes the coordinator slots, as it is told that this agent leaves.
//
// Without time to upload they are given away by the controller, when the journal is sealed
// and the session over.
func (a *Agent) leave(ctx, uploads context.Context) {
	a.leaving.Store(true)
	if _, err := a.announce(ctx); err != nil {
		a.log.Warn("other agents were not told that this agent is stopping", "err", err)
		return
	}
	if len(a.mover.Heirs()) == 0 || a.owned.Len() == 0 {
		return
	}
	if uploads.Err() == nil {
		a.mover.Leave(uploads, a.cfg.ShutdownTimeout/2)
	}
	a.awaitSlots(ctx)
}

// awaitSlots returns when no coordinator slot is this agent's any more.
func (a *Agent) awaitSlots(ctx context.Context) {
	for {
		changed := a.view.Changed()
		mine := false
		for _, o := range a.view.Slots() {
			mine = mine || o.Incarnation == a.inc
		}
		if !mine {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
