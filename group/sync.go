package group

// sync is SyncGroup.
func (g *Group) sync(e Sync) {
	if err := g.checkSync(e); err != nil {
		g.reply(e.Ticket, SyncReply{Err: err})
		return
	}
	m := g.byID[e.MemberID]
	delete(g.unsynced, m.id)
	if len(g.unsynced) == 0 {
		g.timers.cancel(timerKey{kind: timerSync})
	}
	if g.state == Stable {
		g.reply(e.Ticket, g.synced(m, nil))
		return
	}
	g.awaitSync(m, e.Ticket)
	if m.id == g.leader {
		g.assign(e.Assignments)
	}
}

func (g *Group) checkSync(e Sync) error {
	if g.deleting {
		return ErrUnavailable
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
	if assignments == nil {
		assignments = map[string][]byte{}
	}
	g.storeRecord(g.record(assignments), func(err error) {
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
		g.propagate(nil)
		g.transition(Stable)
		g.count(CountRebalances, 1)
		g.note("generation %d is stable", g.generation)
	})
}

// heartbeat is Heartbeat.
func (g *Group) heartbeat(e Heartbeat) error {
	if g.deleting {
		return ErrUnavailable
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
