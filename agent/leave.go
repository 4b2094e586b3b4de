package agent

import "context"

// leave hands all partitions to the other agents before this one stops; the
// controller takes the coordinator slots, as it learns that this agent leaves.
//
// Without time to upload they are given away by the controller, when the journal is sealed
// and the session over.
func (a *Agent) leave(ctx, uploads context.Context) {
	if err := a.reg.leave(ctx); err != nil {
		a.log.Warn("other agents were not told that this agent is stopping", "err", err)
		return
	}
	if len(a.serves.mover.Heirs()) == 0 || a.owned.Len() == 0 {
		return
	}
	if uploads.Err() == nil {
		a.serves.mover.Leave(uploads, a.cfg.ShutdownTimeout/2)
	}
	a.serves.slots.await(ctx, func() bool { return len(a.serves.mover.Heirs()) > 0 })
}
