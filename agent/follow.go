package agent

import (
	"context"
	"time"
)

func (a *Agent) millis() int64 { return a.deps.Now().UnixMilli() }

// follow notes where others are and holds this agent's coordinator slots, at every change of
// the view and from time to time, until ctx ends.
func (a *Agent) follow(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed := a.view.Changed()
		for _, l := range a.view.Agents() {
			a.known.note(l.Store, l.Peer)
		}
		a.holdSlots(ctx)
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}
