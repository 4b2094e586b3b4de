package group

import (
	"fmt"
	"time"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/deadline"
	"varve/metadata"
)

// State is where a group stands.
type State uint8

// The states of a group.
const (
	Dead                State = iota // not there, or being deleted
	Empty                            // has no members, may have offsets
	PreparingRebalance               // waits for members to join
	CompletingRebalance              // waits for the leader's assignment
	Stable                           // every member can have its assignment
)

// String is Kafka's name of the state.
func (s State) String() string {
	return [...]string{"Dead", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// consumerProtocol is the protocol type whose subscriptions are understood.
const consumerProtocol = "consumer"

// Group is one group's state machine. It does no I/O and reads no clock: Step
// takes what happened and when, and returns what is to be done. Only one
// goroutine may use it at a time.
type Group struct {
	id  string
	cfg *Config
	out coordinator.Effects // of the present Step

	exists   bool // Invariant: if not, nothing below is set
	deleting bool // on the way out; Invariant: state is Dead
	state    State
	previous State
	since    time.Time // when the state began

	protocolType string // "" until a member joined
	protocol     string // of the generation, "" without members
	generation   int32  // Invariant: never falls
	leader       string // Invariant: "" or a member

	members  []*member // in order of joining
	byID     map[string]*member
	static   map[string]string   // member ids by instance id
	pending  map[string]struct{} // ids that were given out and have not joined
	unsynced map[string]struct{} // members whose Sync is awaited
	size     int                 // of what members brought along
	awaiting int                 // members whose Join is pending

	joinDelay time.Duration // of an initial rebalance: the present step of waiting
	joinLeft  time.Duration // of an initial rebalance: what may come on top
	joinFirst bool          // the join phase is an initial rebalance's
	joinMore  bool          // a member came since the present step began

	topics map[string]struct{} // subscribed to; nil if unknown

	away      bool   // the store doesn't answer
	deferred  string // why a rebalance is due when the store is back, "" if none is
	assigning int32  // the generation whose assignment was given to the store last
	timers    deadline.Heap[timerKey]
	offsets   *offsets.Offsets
	store
}

// New makes a group that does not exist; a first Join or Commit makes it exist.
// cfg must stay as it is.
func New(id string, cfg *Config) *Group {
	g := &Group{id: id, cfg: cfg}
	g.forget()
	return g
}

// forget brings the group to where it does not exist.
func (g *Group) forget() {
	*g = Group{id: g.id, cfg: g.cfg, out: g.out, away: g.away, byID: map[string]*member{}, static: map[string]string{},
		pending: map[string]struct{}{}, unsynced: map[string]struct{}{}}
	g.offsets = offsets.New(&g.cfg.Config)
}

// create makes the group exist, empty.
func (g *Group) create() {
	g.exists = true
	g.transition(Empty)
	g.timers.Set(timerKey{kind: timerRetention}, g.out.Now.Add(g.cfg.RetentionCheck))
}

// Step applies an event and returns what is to be done, in order.
func (g *Group) Step(now time.Time, e coordinator.Event) []coordinator.Effect {
	g.out.Begin(now)
	switch e := e.(type) {
	case Join:
		g.join(e)
	case Sync:
		g.sync(e)
	case Heartbeat:
		g.out.Reply(e.Ticket, HeartbeatReply{g.heartbeat(e)})
	case Leave:
		g.leave(e)
	case Commit:
		g.commit(e)
	case DeleteOffsets:
		g.deleteOffsets(e)
	case Delete:
		g.delete(e)
	case Settle:
		g.settle(e)
	case coordinator.Tick:
		g.tick()
	case coordinator.Loaded:
		g.loaded()
	case TopicsDeleted:
		g.topicsDeleted(e.Gone)
	case coordinator.Stored:
		g.stored()
	case coordinator.StoreAway:
		g.storeAway(e.Away)
	case coordinator.Resign:
		g.resign(e.Err)
		return g.out.All()
	}
	g.flush()
	if g.away {
		g.waits.fail(coordinator.ErrAway)
	}
	return g.out.All()
}

// tick runs what is due.
func (g *Group) tick() {
	for {
		first := g.Wake()
		if first.IsZero() || first.After(g.out.Now) {
			return
		}
		if first.Equal(g.waits.next()) {
			g.waits.over(g.out.Now)
			continue
		}
		key, _ := g.timers.Pop(g.out.Now)
		switch key.kind {
		case timerSession:
			g.sessionOver(key.member)
		case timerJoin:
			g.joinOver()
		case timerSync:
			g.syncOver()
		case timerRetention:
			g.retention()
		case timerAssigned:
			g.assignLate()
		}
	}
}

func (g *Group) transition(s State) {
	g.previous, g.state, g.since = g.state, s, g.out.Now
}

func (g *Group) in(states ...State) bool {
	for _, s := range states {
		if g.state == s {
			return true
		}
	}
	return false
}

// Load makes a group of what the store holds; rec is nil if there is no record.
// Its first event must be Loaded.
func Load(id string, cfg *Config, rec *metadata.Group, stored map[offsets.Shard]metadata.Offsets) *Group {
	g := New(id, cfg)
	if rec == nil && len(stored) == 0 {
		return g
	}
	g.exists, g.state = true, Empty
	g.offsets = offsets.Load(&cfg.Config, stored)
	if rec == nil {
		return g
	}
	g.recorded = true
	g.protocolType, g.protocol, g.generation, g.since = rec.ProtocolType, rec.Protocol, rec.Generation, rec.Since
	for _, m := range rec.Members {
		g.add(memberOf(m, rec.Protocol))
	}
	if len(g.members) > 0 {
		g.state = Stable
		if g.byID[rec.Leader] != nil {
			g.leader = rec.Leader
		}
		g.topics = g.subscriptions()
	}
	return g
}

// loaded starts the clocks of a group that was read.
func (g *Group) loaded() {
	if !g.exists {
		return
	}
	if g.since.IsZero() {
		g.since = g.out.Now
	}
	check := g.out.Now.Add(g.cfg.RetentionCheck)
	if due := g.Expiry(); g.state == Empty && !due.IsZero() && due.Before(check) {
		check = due
	}
	g.timers.Set(timerKey{kind: timerRetention}, check)
	for _, m := range g.members {
		g.extend(m, m.session)
	}
	if len(g.members) > g.cfg.MaxSize {
		g.prepare(fmt.Sprintf("it has %d members, at most %d are allowed", len(g.members), g.cfg.MaxSize))
	}
}

// resign answers all that is pending.
func (g *Group) resign(err error) {
	for _, m := range g.members {
		g.answerJoin(m, JoinReply{Err: err, MemberID: m.id, Generation: -1})
		g.answerSync(m, SyncReply{Err: err})
	}
	g.waits.fail(err)
}
