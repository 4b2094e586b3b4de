// Package classic is Kafka's classic protocol of group membership, as a pure part of a group:
// members join, a leader among them assigns, heartbeats keep sessions, and generations
// follow each other. Membership takes the requests, generations leads the members from
// one generation to the next, and a roster holds them.
//
// It promises Apache Kafka's behaviour down to its errors. It does no I/O and reads no clock;
// what its group stores of it is one record (Store). It never looks into assignments, and
// into subscriptions only for the topics of consumers. It knows nothing of offsets.
//
// Sources: Apache Kafka's group coordinator; KIP-62, KIP-134, KIP-345, KIP-389, KIP-394,
// KIP-800, KIP-814.
package classic

import (
	"time"

	"varve/coordinator"
	"varve/metadata/schema"
)

// Type is Kafka's name for groups of this protocol.
const Type = "classic"

// ConsumerProtocol is the protocol type whose subscriptions are understood.
const ConsumerProtocol = "consumer"

// What is counted.
const (
	CountRebalances     coordinator.Counter = "rebalances"
	CountExpiredMembers coordinator.Counter = "expired members"
)

// Store keeps the record of a membership.
type Store interface {
	// Keep has a record stored. done, if not nil, is called once: with nil when the record is
	// durable, with what the group is resigned with, or, unless it is patient, with
	// coordinator.ErrAway when that takes long; then the record may yet be stored.
	Keep(rec *schema.Group, patient bool, done func(error))
}

// Membership is the membership of one group. What a call asks for is added to the effects
// of the group's present step. Only one goroutine may use it at a time.
type Membership struct {
	cfg *Config
	*roster
	gen *generations
}

// New makes the membership of a group that is not there; a Join or Create makes it be there.
// cfg must stay as it is.
func New(cfg *Config, out *coordinator.Effects, store Store) *Membership {
	r := newRoster(out)
	return &Membership{cfg: cfg, roster: r, gen: &generations{cfg: cfg, store: store, roster: r}}
}

// Load makes the membership of a group that is there, of what the store holds; rec is nil if
// there is no record. Loaded must be called before anything else happens to it.
func Load(cfg *Config, out *coordinator.Effects, store Store, rec *schema.Group) *Membership {
	m := New(cfg, out, store)
	m.gen.state = Empty
	if rec != nil {
		m.gen.adopt(rec)
	}
	return m
}

// Step applies a request, and reports whether the event is one of this package.
func (m *Membership) Step(e coordinator.Event) bool {
	switch e := e.(type) {
	case Join:
		m.join(e)
	case Sync:
		m.gen.sync(e)
	case Heartbeat:
		m.out.Reply(e.Ticket, HeartbeatReply{m.heartbeat(e)})
	case Leave:
		m.leave(e)
	default:
		return false
	}
	return true
}

// Next returns when Tick is due; zero if never.
func (m *Membership) Next() time.Time { return m.timers.Next() }

// Tick runs the first of what is due, if anything is.
func (m *Membership) Tick() {
	t, due := m.timers.Pop(m.out.Now)
	if !due {
		return
	}
	switch t.kind {
	case timerSession:
		m.sessionOver(t.member)
	case timerJoin:
		m.gen.joinOver()
	case timerSync:
		m.gen.syncOver()
	case timerAssigned:
		m.gen.assignLate()
	}
}

// Loaded starts the clocks of a group that was loaded.
func (m *Membership) Loaded() {
	if m.gen.since.IsZero() {
		m.gen.since = m.out.Now
	}
	for _, o := range m.members {
		m.extend(o, o.session)
	}
	m.gen.shrink()
}

// StoreAway notes that the metadata store stopped answering, or answers again.
// Members keep their sessions and assignments meanwhile. A rebalance would leave them
// without partitions for as long as its end can't be stored, so it begins when the store is
// back.
func (m *Membership) StoreAway(away bool) { m.gen.storeAway(away) }

// Resign answers all requests that wait.
func (m *Membership) Resign(err error) {
	for _, o := range m.members {
		m.answerJoin(o, JoinReply{Err: err, MemberID: o.id, Generation: -1})
		m.answerSync(o, SyncReply{Err: err})
	}
}

// Create makes the group be there, empty.
func (m *Membership) Create() { m.gen.transition(Empty) }

// End starts the deletion of a group without members. Requests get a retriable error.
func (m *Membership) End() {
	m.drop()
	m.gen.deleting = true
	m.gen.transition(Dead)
}

// CheckCommit returns an error if a client may not commit in a generation. A negative
// generation is that of a client which is no member. The group must exist.
func (m *Membership) CheckCommit(id string, instance *string, generation int32) error {
	if generation < 0 && m.gen.state == Empty {
		return nil
	}
	if generation < 0 && id == "" && instance == nil {
		return ErrUnknownMember
	}
	if err := m.check(id, instance); err != nil {
		return err
	}
	if generation != m.gen.number {
		return ErrIllegalGeneration
	}
	if m.gen.state == CompletingRebalance {
		return ErrRebalance
	}
	return nil
}

// Seen restarts the session of a member. It ignores other ids.
func (m *Membership) Seen(id string) {
	if o := m.byID[id]; o != nil {
		m.extend(o, o.session)
	}
}
