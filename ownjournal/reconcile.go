package ownjournal

import (
	"fmt"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/wal/replica"
)

// snapshot is one look at the cluster and at the journal that is written here.
type snapshot struct {
	self     id.Store
	agents   []cluster.Live // that have a session, by broker
	drained  map[id.Broker]bool
	journals map[id.Journal]cluster.Journal
	moved    map[id.Store]bool // members of mine whose agents are back with another store
	refused  map[id.Store]refusal

	mine    id.Journal       // the journal that is written
	members []replica.Member // of it
	sealing bool             // it is being sealed here
	leaving bool             // this agent was told to stop

	changing, trimming, asking bool // tasks that are under way
}

// look gathers what the view of the cluster shows.
func look(v *cluster.View, self id.Store, refused map[id.Store]refusal) *snapshot {
	return &snapshot{self: self, agents: v.Agents(), drained: v.Drained(), journals: v.Journals(), moved: map[id.Store]bool{}, refused: refused}
}

// noteMoved adds which of the stores have agents that are back with another one.
func (s *snapshot) noteMoved(v *cluster.View, stores []id.Store) {
	for _, store := range stores {
		s.moved[store] = v.Moved(store)
	}
}

// memory is what reconcile remembers between two looks.
type memory struct {
	wanted   []id.Store // members that would be better,
	since    time.Time  // and since when they are
	trimmed  time.Time  // when journals that were left were trimmed last
	sampled  time.Time  // when the members' connections were looked at last
	stranded time.Time  // since when too few members are connected; zero: enough are
}

// actions are what is to be done.
type actions struct {
	end      error   // ends this agent
	change   *change // of the journal's members
	trim     bool
	stranded error // ends this agent if etcd answers
}

// change is a change of members.
type change struct {
	from id.Journal
	rec  cluster.Journal // of from
	to   []id.Store
}

// trimEvery is how often journals that this agent left are looked at, in which nothing may
// be needed any more. While records are uploaded that happens anyway.
const trimEvery = 2 * time.Second

// reconcile decides what is to be done about the journal that is written here.
func (m *memory) reconcile(cfg *Config, s *snapshot, now time.Time) (a actions) {
	a.end = s.replaced(s.mine.Writer)
	if cfg.Factor == 1 {
		return a // no other store is to keep it
	}
	if !s.changing {
		a.change = m.reconcileMembers(cfg, s, now)
		if now.Sub(m.trimmed) >= trimEvery && !s.trimming && a.change == nil && s.hasLeftJournals() {
			m.trimmed, a.trim = now, true
		}
	}
	a.stranded = m.reconcileConnections(cfg, s, now)
	return a
}

// reconcileMembers replaces members that are gone, or not connected, for longer than a
// restart takes, or too far behind, and fills up an ensemble that began with too few.
func (m *memory) reconcileMembers(cfg *Config, s *snapshot, now time.Time) *change {
	rec, ok := s.journals[s.mine]
	next, patience := s.betterEnsemble(cfg, &rec, now)
	switch {
	case !ok || next == nil || s.leaving:
		m.wanted = nil
	case patience > 0 && !slices.Equal(next, m.wanted):
		m.wanted, m.since = next, now
	case patience == 0 || now.Sub(m.since) >= patience:
		m.wanted = nil
		return &change{s.mine, rec, next}
	}
	return nil
}

// reconcileConnections ends an agent that can't reach the members of its journal though
// they live: its cable to them is cut, and only to them. It could acknowledge nothing, and
// its place would not be taken while its session lives. The others can recover its journal,
// and it comes back as soon as they can be reached.
func (m *memory) reconcileConnections(cfg *Config, s *snapshot, now time.Time) error {
	if now.Sub(m.sampled) < lookEvery/2 {
		return nil // a connection that comes and goes at once is none
	}
	m.sampled = now
	switch {
	case !s.stranded(cfg.Quorum) || s.leaving:
		m.stranded = time.Time{}
	case m.stranded.IsZero():
		m.stranded = now
	case now.Sub(m.stranded) >= cfg.StrandedAfter && !s.asking:
		return fmt.Errorf("too few members of journal %v can be reached for %v, though they live: %w", s.mine, cfg.StrandedAfter, ErrReplaced)
	}
	return nil
}

// replaced returns an error if the journal that is written here was sealed by others.
func (s *snapshot) replaced(self id.Incarnation) error {
	rec, ok := s.journals[s.mine]
	if ok && rec.State != schema.JournalOpen && !s.sealing && !s.movedOn(self) {
		return fmt.Errorf("journal %v is %v: %w", s.mine, rec.State, ErrReplaced)
	}
	return nil
}

// movedOn reports whether this agent itself sealed its journal, to go on with the next, which
// the writer is about to do.
func (s *snapshot) movedOn(self id.Incarnation) bool {
	for j := range s.journals {
		if j.Writer == self && j.Seq > s.mine.Seq {
			return true
		}
	}
	return false
}

// hasLeftJournals reports whether etcd still names a journal that this agent wrote and left.
func (s *snapshot) hasLeftJournals() bool {
	for j, rec := range s.journals {
		if j.Writer == s.mine.Writer && rec.State == schema.JournalSealed {
			return true
		}
	}
	return false
}

// stranded reports whether a quorum of the journal's members has sessions, but is not
// connected.
func (s *snapshot) stranded(quorum int) bool {
	connected, live := 0, 0
	for _, m := range s.members {
		_, registered := s.store(m.Store)
		if m.Own || registered {
			live++
		}
		if m.Own || !m.Connected.IsZero() {
			connected++
		}
	}
	return live >= quorum && connected < quorum
}

// store returns the live agent that has a store.
func (s *snapshot) store(of id.Store) (cluster.Live, bool) {
	for _, l := range s.agents {
		if l.Store == of {
			return l, true
		}
	}
	return cluster.Live{}, false
}
