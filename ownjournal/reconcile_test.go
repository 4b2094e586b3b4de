package ownjournal

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/wal/replica"
)

// scene is a cluster of four agents in which the first writes journal 1-1 with the second
// and the third. The store of each is its broker's number.
type scene struct {
	snapshot
	cfg Config
}

func newScene() *scene {
	s := &scene{cfg: Config{Factor: 3, Quorum: 2, ReplaceAfter: 10 * time.Second, StrandedAfter: 3 * time.Second}}
	s.self, s.mine = self, id.Journal{Writer: 1, Seq: 1}
	s.journals = map[id.Journal]cluster.Journal{}
	s.moved, s.drained, s.refused = map[id.Store]bool{}, map[id.Broker]bool{}, map[id.Store]refusal{}
	for b := id.Broker(1); b <= 4; b++ {
		s.agents = append(s.agents, cluster.Live{Broker: b, Agent: schema.Agent{Incarnation: id.Incarnation(b), Store: id.Store{byte(b)}, Peer: "h:1"}})
	}
	s.journal(1, schema.JournalOpen, 1, 2, 3)
	s.connected(2, 3)
	return s
}

// journal sets the record of one of the journals that are written here.
func (s *scene) journal(seq uint32, state schema.JournalState, members ...byte) {
	s.journals[id.Journal{Writer: 1, Seq: seq}] = cluster.Journal{Journal: schema.Journal{State: state, Broker: 1, Ensemble: stores(members), Quorum: 2}}
}

// connected makes these members, and this agent's own store, connected, and no other.
func (s *scene) connected(brokers ...byte) {
	s.members = nil
	for _, store := range s.journals[s.mine].Ensemble {
		m := replica.Member{Store: store, Own: store == s.self}
		if slices.Contains(brokers, store[0]) {
			m.Connected = time.Unix(1, 0)
		}
		s.members = append(s.members, m)
	}
}

func (s *scene) dies(b id.Broker) {
	s.agents = slices.DeleteFunc(s.agents, func(l cluster.Live) bool { return l.Broker == b })
}

func stores(brokers []byte) (all []id.Store) {
	for _, b := range brokers {
		all = append(all, id.Store{b})
	}
	return all
}

// TestReconcile: what is decided at each of several looks, by what they show.
func TestReconcile(t *testing.T) {
	type at struct {
		ms       int          // since the first look
		do       func(*scene) // before this look
		end      bool
		change   []byte // the new members
		trim     bool
		stranded bool
	}
	for name, looks := range map[string][]at{
		"all is well": {{}, {ms: 60000}},
		"a member is gone for long": {
			{do: func(s *scene) { s.dies(2); s.connected(3) }},
			{ms: 9999},
			{ms: 10000, change: []byte{1, 3, 4}},
			{ms: 10001}, // a change that failed is tried after as long again
			{ms: 20000},
			{ms: 20001, change: []byte{1, 3, 4}},
		},
		"a member was restarted": {
			{do: func(s *scene) { s.connected(3) }},
			{ms: 5000, do: func(s *scene) { s.connected(2, 3) }},
			{ms: 6000, do: func(s *scene) { s.connected(3) }},
			{ms: 15999},
			{ms: 16000, change: []byte{1, 3, 4}},
		},
		"what would be better changes": {
			{do: func(s *scene) { s.connected(3) }},
			{ms: 9000, do: func(s *scene) { s.connected() }},
			{ms: 10000},
			{ms: 12000, stranded: true},
			{ms: 19000, change: []byte{1, 4}, stranded: true},
		},
		"a member has another store": {
			{do: func(s *scene) { s.dies(2); s.connected(3); s.moved[id.Store{2}] = true }, change: []byte{1, 3, 4}},
		},
		"the journal began with too few": {
			{do: func(s *scene) { s.journal(1, schema.JournalOpen, 1, 2); s.connected(2) }},
			{ms: 999},
			{ms: 1000, change: []byte{1, 2, 3}},
		},
		"a change is under way": {
			{do: func(s *scene) { s.dies(2); s.connected(3); s.moved[id.Store{2}] = true; s.changing = true }},
			{ms: 1, do: func(s *scene) { s.changing = false }, change: []byte{1, 3, 4}},
		},
		"this agent leaves": {
			{do: func(s *scene) { s.dies(2); s.connected(); s.moved[id.Store{2}], s.leaving = true, true }},
			{ms: 60000},
		},
		"the only other agent shuns the journal": {
			{do: func(s *scene) {
				s.dies(2)
				s.connected(3)
				s.moved[id.Store{2}] = true
				s.refused[id.Store{4}] = refusal{start, 4, io.ErrShortWrite}
			}},
			{ms: int(shunFor.Milliseconds()), change: []byte{1, 3, 4}},
		},
		"etcd doesn't show the journal": {
			{do: func(s *scene) { delete(s.journals, s.mine); s.dies(2); s.connected() }},
			{ms: 60000},
		},
		"others sealed the journal": {
			{do: func(s *scene) { s.journal(1, schema.JournalSealed, 1, 2, 3) }, end: true, trim: true},
		},
		"others recover the journal": {
			{do: func(s *scene) { s.journal(1, schema.JournalRecovering, 1, 2, 3) }, end: true},
		},
		"this agent seals the journal": {
			{do: func(s *scene) { s.journal(1, schema.JournalSealed, 1, 2, 3); s.sealing = true }, trim: true},
		},
		"this agent changed the members": {
			{do: func(s *scene) {
				s.journal(1, schema.JournalSealed, 1, 2, 3)
				s.journal(2, schema.JournalOpen, 1, 3, 4)
			}, trim: true},
		},
		"a journal was left": {
			{do: func(s *scene) {
				s.journal(1, schema.JournalSealed, 1, 2, 3)
				s.journal(2, schema.JournalOpen, 1, 2, 3)
				s.mine.Seq = 2
			}, trim: true},
			{ms: 1999},
			{ms: 2000, trim: true},
			{ms: 4000, do: func(s *scene) { s.trimming = true }},
			{ms: 4001, do: func(s *scene) { s.trimming = false }, trim: true},
		},
		"the members live and can't be reached": {
			{do: func(s *scene) { s.connected() }},
			{ms: 2999},
			{ms: 3300, stranded: true},
			{ms: 3800, do: func(s *scene) { s.asking = true }},
			{ms: 4300, do: func(s *scene) { s.asking = false }, stranded: true},
		},
		"the members could be reached again": {
			{do: func(s *scene) { s.connected() }},
			{ms: 2000, do: func(s *scene) { s.connected(2) }},
			{ms: 3000, do: func(s *scene) { s.connected() }},
			{ms: 5500},
			{ms: 6000, stranded: true},
		},
		"the members are dead": {
			{do: func(s *scene) { s.dies(2); s.dies(3); s.connected() }},
			{ms: 5000},
			{ms: 9999},
		},
		"the journal has one member": {
			{do: func(s *scene) {
				s.cfg.Factor, s.cfg.Quorum = 1, 1
				s.journal(1, schema.JournalOpen, 1)
				s.members = nil
			}},
			{ms: 60000, do: func(s *scene) { s.journal(1, schema.JournalSealed, 1) }, end: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := newScene(), memory{}
			for _, x := range looks {
				if x.do != nil {
					x.do(s)
				}
				a := m.reconcile(&s.cfg, &s.snapshot, start.Add(time.Duration(x.ms)*time.Millisecond))
				var to []id.Store
				if a.change != nil {
					if to = a.change.to; a.change.from != s.mine {
						t.Errorf("after %d ms: the change is from %v", x.ms, a.change.from)
					}
				}
				if (a.end != nil) != x.end || !slices.Equal(to, stores(x.change)) || a.trim != x.trim || (a.stranded != nil) != x.stranded {
					t.Errorf("after %d ms: %+v, to %v", x.ms, a, to)
				}
				for _, err := range []error{a.end, a.stranded} {
					if err != nil && !errors.Is(err, ErrReplaced) {
						t.Errorf("after %d ms it ends with %v", x.ms, err)
					}
				}
			}
		})
	}
}

var start = time.Unix(1e9, 0)
