package group

import (
	"time"

	"varve/coordinator"
)

// sync is SyncGroup.
func (g *Group) sync(e Sync) {
	if err := g.checkSync(e); err != nil {
		g.out.Reply(e.Ticket, SyncReply{Err: err})
		return
	}
	m := g.byID[e.MemberID]
	delete(g.unsynced, m.id)
	if len(g.unsynced) == 0 {
		g.timers.Cancel(timerKey{kind: timerSync})
	}
	if g.state == Stable {
		g.out.Reply(e.Ticket, g.synced(m, nil))
		return
	}
	g.awaitSync(m, e.Ticket)
	if m.id == g.leader && g.assigning != g.generation {
		g.assign(e.Assignments)
	}
	g.boundSync()
}

// syncPatience is how long Syncs wait for their assignment to be stored. On the same
// connection heartbeats may wait for their answers.
const syncPatience = 2 * time.Second

// boundSync bounds the wait of Syncs whose assignment is being stored.
func (g *Group) boundSync() {
	key := timerKey{kind: timerAssigned}
	if g.state == CompletingRebalance && g.assigning == g.generation && !g.timers.Has(key) {
		g.timers.Set(key, g.out.Now.Add(syncPatience))
	}
}

// assignLate answers the Syncs that have waited for long. The generation stays as it is:
// members that join again get it again, and the assignment once it is stored.
func (g *Group) assignLate() {
	if g.state == CompletingRebalance {
		g.propagate(ErrRebalance)
	}
}

func (g *Group) checkSync(e Sync) error {
	if g.deleting {
		return coordinator.ErrAway
	}
	if !g.exists || g.state == Empty {
		return ErrUnknownMember
	}
	if err := g.check(e.MemberID, e.InstanceID); err != nil {
		return err
	}
	differs := func(theirs *string, ours string) bool { return theirs != nil && ours != "" && *theirs != ours }
	switch {
	case e.Generation != g.generation:
		return ErrIllegalGeneration
	case differs(e.ProtocolType, g.protocolType) || differs(e.Protocol, g.protocol):
		return ErrInconsistentProtocol
	case g.state == PreparingRebalance:
		return ErrRebalance
	}
	return nil
}

// assign stores the leader's assignment, then gives it out.
func (g *Group) assign(assignments map[string][]byte) {
	generation := g.generation
	g.assigning = generation
	if assignments == nil {
		assignments = map[string][]byte{}
	}
	g.storeRecord(g.record(assignments), g.awaitLong, func(err error) {
		if g.state != CompletingRebalance || g.generation != generation {
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
		g.timers.Cancel(timerKey{kind: timerAssigned})
		g.propagate(nil)
		g.transition(Stable)
		g.out.Count(CountRebalances, 1)
		g.out.Note("generation %d is stable", g.generation)
	})
}

// heartbeat is Heartbeat.
func (g *Group) heartbeat(e Heartbeat) error {
	if g.deleting {
		return coordinator.ErrAway
	}
	if !g.exists {
		return ErrUnknownMember
	}
	if err := g.check(e.MemberID, e.InstanceID); err != nil {
		return err
	}
	if e.Generation != g.generation {
		return ErrIllegalGeneration
	}
	m := g.byID[e.MemberID]
	g.extend(m, m.session)
	if g.state == PreparingRebalance {
		return ErrRebalance
	}
	return nil
}
