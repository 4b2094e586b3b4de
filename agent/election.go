package agent

import (
	"context"
	"sync"

	"varve/controller"
	"varve/coordinator"
	"varve/metadata"
	"varve/wal/replica"
)

// election is this agent's part in what one agent does for all.
type election struct {
	control *controller.Controller
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
}

// stand makes this agent stand for election until life ends, or stop.
func stand(life context.Context, p *process, m *member, peers *replica.Node) *election {
	ctx, cancel := context.WithCancel(life)
	e := &election{cancel: cancel, control: controller.New(controller.Deps{
		Self: p.self, Incarnation: m.inc, View: m.view, Editor: m.editor, Store: p.deps.Meta, Writer: m.heads, Peers: peers, Slots: coordinator.Slots,
		Lease: func() metadata.Lease { return m.reg.lease().Lease() }, Grace: p.cfg.SessionTTL,
		Log: p.log.With("part", "controller"), Registry: p.deps.Registry,
	})}
	e.tasks.Go(func() { e.control.Run(ctx) })
	e.tasks.Go(func() {
		metadata.KeepHistory(ctx, p.deps.Meta, p.cfg.Metadata.KeepHistory, e.control.Active, p.log.With("part", "metadata"))
	})
	return e
}

func (e *election) stop() {
	e.cancel()
	e.tasks.Wait()
}
