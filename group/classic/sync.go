package classic

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/coordinator"
)

// sync is SyncGroup.
func (g *generations) sync(e Sync) {
	if err := g.checkSync(e); err != nil {
		g.out.Reply(e.Ticket, SyncReply{Err: err})
		return
	}
	m := g.byID[e.MemberID]
	g.synced(m)
	if g.unsynced == 0 {
		g.timers.Cancel(timer{kind: timerSync})
	}
	if g.state == Stable {
		g.out.Reply(e.Ticket, g.assignment(m, nil))
		return
	}
	g.awaitSync(m, e.Ticket)
	if m.id == g.leader && g.assigning != g.number {
		g.assign(e.Assignments)
	}
	g.boundSync()
}

func (g *generations) checkSync(e Sync) error {
	if g.deleting {
		return coordinator.ErrAway
	}
	if g.state.in(Dead, Empty) {
		return ErrUnknownMember
	}
	if err := g.check(e.MemberID, e.InstanceID); err != nil {
		return err
	}
	differs := func(theirs *string, ours string) bool { return theirs != nil && ours != "" && *theirs != ours }
	switch {
	case e.Generation != g.number:
		return ErrIllegalGeneration
	case differs(e.ProtocolType, g.protocolType) || differs(e.Protocol, g.protocol):
		return ErrInconsistentProtocol
	case g.state == PreparingRebalance:
		return ErrRebalance
	}
	return nil
}

// syncPatience is how long Syncs wait for their assignment to be stored. On the same
// connection heartbeats may wait for their answers.
const syncPatience = 2 * time.Second

// boundSync bounds the wait of Syncs whose assignment is being stored.
func (g *generations) boundSync() {
	t := timer{kind: timerAssigned}
	if g.state == CompletingRebalance && g.assigning == g.number && !g.timers.Has(t) {
		g.timers.Set(t, g.out.Now.Add(syncPatience))
	}
}

// assignLate answers the Syncs that have waited for long. The generation stays as it is:
// members that join again get it again, and the assignment once it is stored.
func (g *generations) assignLate() {
	if g.state == CompletingRebalance {
		g.propagate(ErrRebalance)
	}
}

// assign stores the leader's assignment. Members get it after that.
func (g *generations) assign(assignments map[string][]byte) {
	generation := g.number
	g.assigning = generation
	if assignments == nil {
		assignments = map[string][]byte{}
	}
	g.keep(assignments, true, func(err error) {
		if g.state != CompletingRebalance || g.number != generation {
			return
		}
		if err != nil {
			for _, m := range g.members {
				m.assignment = nil
			}
			g.propagate(err)
			g.prepare("the assignment could not be stored: " + err.Error())
			return
		}
		for _, m := range g.members {
			m.assignment = assignments[m.id]
		}
		g.timers.Cancel(timer{kind: timerAssigned})
		g.propagate(nil)
		g.transition(Stable)
		g.out.Count(CountRebalances, 1)
		g.out.Note("generation %d is stable", g.number)
	})
}

// propagate answers all Syncs that wait.
func (g *generations) propagate(err error) {
	for _, m := range g.members {
		if g.answerSync(m, g.assignment(m, err)) {
			// While it waited its session could not end.
			g.extend(m, m.session)
		}
	}
}

// assignment is the answer to a Sync.
func (g *generations) assignment(m *member, err error) SyncReply {
	if err != nil {
		return SyncReply{Err: err}
	}
	return SyncReply{ProtocolType: optional(g.protocolType), Protocol: optional(g.protocol), Assignment: m.assignment}
}

// syncOver ends the sync phase at its timeout and removes members that did not sync.
func (g *generations) syncOver() {
	if !g.state.in(CompletingRebalance, Stable) || g.unsynced == 0 {
		return
	}
	late := g.ids(func(m *member) bool { return m.unsynced })
	slices.Sort(late)
	for _, id := range late {
		g.remove(id)
	}
	g.prepare(fmt.Sprintf("members did not sync in time: %s", strings.Join(late, " ")))
}
