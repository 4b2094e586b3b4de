package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rebalance begins a rebalance, or ends the join phase of the one that goes on
// if this was the last to join.
func (g *Group) rebalance(why string) {
	if g.in(Stable, CompletingRebalance, Empty) {
		g.prepare(why)
		return
	}
	g.maybeComplete()
}

// prepare begins a rebalance: members learn by their heartbeats that they have
// to join again.
func (g *Group) prepare(why string) {
	if g.postpone(why) {
		return
	}
	g.deferred = ""
	g.timers.Cancel(timerKey{kind: timerAssigned})
	if g.state == CompletingRebalance {
		for _, m := range g.members {
			m.assignment = nil
		}
		g.propagate(ErrRebalance)
	}
	clear(g.unsynced)
	g.timers.Cancel(timerKey{kind: timerSync})
	first := g.state == Empty
	g.transition(PreparingRebalance)
	g.out.Note("preparing to rebalance generation %d: %s", g.generation, why)
	g.joinFirst, g.joinMore = first, false
	if first {
		g.joinDelay = g.cfg.InitialRebalanceDelay
		g.joinLeft = max(g.rebalanceTimeout()-g.joinDelay, 0)
		g.waitForJoins(g.joinDelay)
		return
	}
	if g.allJoined() {
		g.complete()
		return
	}
	g.waitForJoins(g.rebalanceTimeout())
}

func (g *Group) waitForJoins(d time.Duration) {
	g.timers.Set(timerKey{kind: timerJoin}, g.out.Now.Add(d))
}

// rebalanceTimeout is the longest that any member wants.
func (g *Group) rebalanceTimeout() (d time.Duration) {
	for _, m := range g.members {
		d = max(d, m.rebalance)
	}
	return d
}

func (g *Group) allJoined() bool { return len(g.members) == g.awaiting && len(g.pending) == 0 }

// maybeComplete ends the join phase if all have joined, unless it is an initial
// one, which waits for its time.
func (g *Group) maybeComplete() {
	if g.state == PreparingRebalance && !g.joinFirst && g.allJoined() {
		g.complete()
	}
}

// joinOver is the end of the join phase's time.
func (g *Group) joinOver() {
	if g.state != PreparingRebalance {
		return
	}
	if g.joinFirst && g.joinMore && g.joinLeft > 0 {
		// Members still come: wait on, up to the rebalance timeout in all.
		g.joinMore = false
		delay := min(g.cfg.InitialRebalanceDelay, g.joinLeft)
		g.joinLeft = max(g.joinLeft-g.joinDelay, 0)
		g.joinDelay = delay
		g.waitForJoins(delay)
		return
	}
	g.complete()
}

// complete ends the join phase with the next generation. Dynamic members that
// did not join are out; static ones stay until their session ends.
func (g *Group) complete() {
	g.timers.Cancel(timerKey{kind: timerJoin})
	var absent []string
	for _, m := range g.members {
		if m.join == nil && m.instance == nil {
			absent = append(absent, m.id)
		}
	}
	for _, id := range absent {
		g.remove(id)
	}
	if len(absent) > 0 {
		g.out.Note("members that did not rejoin in time are out: %s", strings.Join(absent, " "))
	}
	if len(g.members) > 0 && !g.electJoined() {
		g.out.Note("no member rejoined; waiting for their sessions to end")
		g.waitForJoins(max(g.rebalanceTimeout(), time.Millisecond))
		return
	}
	g.joinFirst = false
	g.generation++
	clear(g.unsynced)
	if len(g.members) == 0 {
		g.emptied()
		return
	}
	g.protocol = g.vote()
	g.topics = g.subscriptions()
	g.transition(CompletingRebalance)
	g.out.Note("generation %d has %d members, protocol %s", g.generation, len(g.members), g.protocol)
	for _, m := range g.members {
		g.answerJoin(m, g.joined(m, m.id == g.leader))
		g.extend(m, m.session)
		m.isNew = false
		g.unsynced[m.id] = struct{}{}
	}
	g.timers.Set(timerKey{kind: timerSync}, g.out.Now.Add(g.rebalanceTimeout()))
}

// electJoined makes sure that the leader is one who joined.
func (g *Group) electJoined() bool {
	if m := g.byID[g.leader]; m != nil && m.join != nil {
		return true
	}
	i := slices.IndexFunc(g.members, func(m *member) bool { return m.join != nil })
	if i < 0 {
		return false
	}
	g.leader = g.members[i].id
	return true
}

// emptied is the end of the last member.
func (g *Group) emptied() {
	g.protocol, g.leader = "", ""
	g.topics = nil
	if g.protocolType == consumerProtocol {
		g.topics = map[string]struct{}{}
	}
	g.transition(Empty)
	g.out.Note("generation %d is empty", g.generation)
	g.storeRecord(g.record(nil), nil, nil)
}

// vote chooses the protocol that most members like best among those that all
// have. Ties go to the first by name.
func (g *Group) vote() string {
	common := g.common()
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if common[p.Name] {
				votes[p.Name]++
				break
			}
		}
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// propagate answers all Syncs that wait.
func (g *Group) propagate(err error) {
	for _, m := range g.members {
		if g.answerSync(m, g.synced(m, err)) {
			// While it waited its session could not end.
			g.extend(m, m.session)
		}
	}
}

func (g *Group) synced(m *member, err error) SyncReply {
	if err != nil {
		return SyncReply{Err: err}
	}
	return SyncReply{ProtocolType: optional(g.protocolType), Protocol: optional(g.protocol), Assignment: m.assignment}
}

// syncOver is the end of the sync phase's time: those who did not sync are out.
func (g *Group) syncOver() {
	if !g.in(CompletingRebalance, Stable) || len(g.unsynced) == 0 {
		return
	}
	late := slices.Sorted(maps.Keys(g.unsynced))
	for _, id := range late {
		g.remove(id)
	}
	g.prepare(fmt.Sprintf("members did not sync in time: %s", strings.Join(late, " ")))
}
