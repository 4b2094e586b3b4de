package agent

import (
	"context"
	"fmt"
	"time"

	"varve/metadata"
)

// watchQuorum ends this agent when it can't reach the members of its journal though
// they live, until ctx ends: its cable to them is cut, and only to them. It could
// acknowledge nothing, and nobody would take its place while its session lives. The
// others can recover its journal, and it comes back as soon as they can be reached.
func (a *Agent) watchQuorum(ctx context.Context) {
	var since time.Time
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		switch {
		case !a.stranded() || a.leaving.Load():
			since = time.Time{}
		case since.IsZero():
			since = a.deps.Now()
		case a.deps.Now().Sub(since) >= a.cfg.SessionTTL && a.etcdAnswers(ctx):
			a.die(fmt.Errorf("too few members of journal %v can be reached for %v, though they live: %w", a.journal.ID(), a.cfg.SessionTTL, errReplaced))
			return
		}
	}
}

// stranded reports whether a quorum of the own journal's members has sessions, but is
// not connected.
func (a *Agent) stranded() bool {
	connected, live := 0, 0
	for _, m := range a.peers.Members(a.journal.ID()) {
		_, registered := a.view.Store(m.Store)
		if m.Own || registered {
			live++
		}
		if m.Own || !m.Connected.IsZero() {
			connected++
		}
	}
	quorum := a.cfg.Replication.Quorum
	return live >= quorum && connected < quorum
}

// etcdAnswers: what the view tells of the others is only worth something while etcd
// can be asked, and without it no other incarnation could begin.
func (a *Agent) etcdAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := a.deps.Meta.Get(ctx, metadata.AgentKey(a.self))
	return err == nil
}
