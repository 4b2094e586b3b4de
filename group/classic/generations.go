package classic

import (
	"fmt"
	"strings"
	"time"

	"varve/metadata/schema"
)

// generations leads the members from one generation to the next: they join, the leader
// assigns, and the generation is stable until the next rebalance.
type generations struct {
	cfg   *Config
	store Store
	*roster

	state    State
	deleting bool      // on the way out; Invariant: state is Dead
	since    time.Time // when the state began

	protocolType string              // "" until a member joined
	protocol     string              // of the generation, "" without members
	number       int32               // Invariant: never falls
	topics       map[string]struct{} // subscribed to; nil if unknown

	phase     joinPhase
	assigning int32  // the generation whose assignment was given to the store last
	away      bool   // the store doesn't answer
	deferred  string // why a rebalance is due when the store is back, "" if none is
}

// there reports whether there is such a group.
func (g *generations) there() bool { return g.state != Dead || g.deleting }

func (g *generations) transition(s State) { g.state, g.since = s, g.out.Now }

// rebalance starts a rebalance. If one is in its join phase, it ends that phase once all
// members have joined.
func (g *generations) rebalance(why string) {
	if g.state.in(Stable, CompletingRebalance, Empty) {
		g.prepare(why)
		return
	}
	g.maybeComplete()
}

// prepare begins a rebalance: members learn by their heartbeats that they have
// to join again.
func (g *generations) prepare(why string) {
	if g.postpone(why) {
		return
	}
	g.deferred = ""
	g.timers.Cancel(timer{kind: timerAssigned})
	if g.state == CompletingRebalance {
		for _, m := range g.members {
			m.assignment = nil
		}
		g.propagate(ErrRebalance)
	}
	g.forgetSyncs()
	g.timers.Cancel(timer{kind: timerSync})
	first := g.state == Empty
	g.transition(PreparingRebalance)
	g.out.Note("preparing to rebalance generation %d: %s", g.number, why)
	if first {
		g.waitForJoins(g.phase.begin(g.cfg.InitialRebalanceDelay, g.rebalanceTimeout()))
		return
	}
	g.phase = joinPhase{}
	if g.allJoined() {
		g.complete()
		return
	}
	g.waitForJoins(g.rebalanceTimeout())
}

func (g *generations) waitForJoins(d time.Duration) {
	g.timers.Set(timer{kind: timerJoin}, g.out.Now.Add(d))
}

// maybeComplete ends the join phase if all have joined, unless it is an initial
// one, which waits for its time.
func (g *generations) maybeComplete() {
	if g.state == PreparingRebalance && !g.phase.initial && g.allJoined() {
		g.complete()
	}
}

// completeJoined ends the join phase if all have joined, also an initial one.
func (g *generations) completeJoined() {
	if g.state == PreparingRebalance && g.allJoined() {
		g.complete()
	}
}

// joinOver is the end of the join phase's time.
func (g *generations) joinOver() {
	if g.state != PreparingRebalance {
		return
	}
	if d, more := g.phase.more(g.cfg.InitialRebalanceDelay); more {
		g.waitForJoins(d)
		return
	}
	g.complete()
}

// complete ends the join phase with the next generation. Dynamic members that
// did not join are out; static ones stay until their session ends.
func (g *generations) complete() {
	g.timers.Cancel(timer{kind: timerJoin})
	absent := g.ids(func(m *member) bool { return m.join == nil && m.instance == nil })
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
	g.phase.initial = false
	g.number++
	if len(g.members) == 0 {
		g.emptied()
		return
	}
	g.protocol = g.vote()
	g.topics = g.subscriptions()
	g.transition(CompletingRebalance)
	g.out.Note("generation %d has %d members, protocol %s", g.number, len(g.members), g.protocol)
	for _, m := range g.members {
		g.answerJoin(m, g.joined(m, m.id == g.leader))
		g.extend(m, m.session)
		m.isNew = false
	}
	g.awaitSyncs()
	g.timers.Set(timer{kind: timerSync}, g.out.Now.Add(g.rebalanceTimeout()))
}

// emptied is the end of the last member.
func (g *generations) emptied() {
	g.protocol, g.leader = "", ""
	g.topics = nil
	if g.protocolType == ConsumerProtocol {
		g.topics = map[string]struct{}{}
	}
	g.transition(Empty)
	g.out.Note("generation %d is empty", g.number)
	g.keep(nil, false, nil)
}

// shrink begins a rebalance if there are more members than are allowed.
func (g *generations) shrink() {
	if len(g.members) > g.cfg.MaxSize {
		g.prepare(fmt.Sprintf("it has %d members, at most %d are allowed", len(g.members), g.cfg.MaxSize))
	}
}

// joined is the answer to a Join in the present generation.
func (g *generations) joined(m *member, all bool) JoinReply {
	r := JoinReply{MemberID: m.id, Generation: g.number, Leader: g.leader,
		ProtocolType: optional(g.protocolType), Protocol: optional(g.protocol)}
	if all {
		for _, o := range g.members {
			r.Members = append(r.Members, JoinedMember{o.id, o.instance, o.metadata(g.protocol)})
		}
	}
	return r
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// adopt takes a generation that was stored.
func (g *generations) adopt(rec *schema.Group) {
	g.protocolType, g.protocol, g.number, g.since = rec.ProtocolType, rec.Protocol, rec.Generation, rec.Since
	for _, m := range rec.Members {
		g.add(memberOf(m, rec.Protocol))
	}
	if len(g.members) == 0 {
		return
	}
	g.state = Stable
	if g.byID[rec.Leader] != nil {
		g.leader = rec.Leader
	}
	g.topics = g.subscriptions()
}
