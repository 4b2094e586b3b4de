package ownjournal

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

// shuns reports whether an agent's store did not join a journal a moment ago.
func (s *snapshot) shuns(l *cluster.Live, now time.Time) bool {
	r, ok := s.refused[l.Store]
	return ok && r.holds(l.Incarnation, now)
}

// usable reports how many agents can keep a journal, and of those that live and can't why.
func (s *snapshot) usable(n int, now time.Time) string {
	text := fmt.Sprintf("%d live", n)
	for _, l := range s.agents {
		if s.shuns(&l, now) {
			text += fmt.Sprintf(", and agent %d (%s), which lives and did not join: %v", l.Broker, l.Host(), s.refused[l.Store].why)
		}
	}
	return text
}

// ensemble chooses the stores that are to keep a journal: this one, and live ones in
// other racks that keep few.
func (s *snapshot) ensemble(cfg *Config, now time.Time) []id.Store {
	kept := map[id.Store]int{}
	for _, rec := range s.journals {
		if rec.State == schema.JournalOpen {
			for _, store := range rec.Ensemble {
				kept[store]++
			}
		}
	}
	last := func(l cluster.Live) int { // better three with a drained one than two
		if s.drained[l.Broker] {
			return 1
		}
		return 0
	}
	var others []cluster.Live
	for _, l := range s.agents {
		if l.Store != s.self && l.Peer != "" && !l.Leaving && !s.shuns(&l, now) {
			others = append(others, l)
		}
	}
	members := []id.Store{s.self}
	racks := map[string]int{cfg.Rack: 1}
	for len(members) < cfg.Factor && len(others) > 0 {
		next := slices.MinFunc(others, func(x, y cluster.Live) int {
			return cmp.Or(cmp.Compare(last(x), last(y)), cmp.Compare(racks[x.Rack], racks[y.Rack]), cmp.Compare(kept[x.Store], kept[y.Store]), cmp.Compare(x.Broker, y.Broker))
		})
		members = append(members, next.Store)
		racks[next.Rack]++
		others = slices.DeleteFunc(others, func(l cluster.Live) bool { return l.Broker == next.Broker })
	}
	return members
}

// growAfter is how long a better ensemble must have been there before a journal that
// has too few members takes it.
const growAfter = time.Second

// betterEnsemble returns members that would be better than the present ones, and how
// long to wait for these to come back; nil if there are none. A drained member makes
// room for one that isn't; another drained one would be no better.
func (s *snapshot) betterEnsemble(cfg *Config, rec *cluster.Journal, now time.Time) (next []id.Store, patience time.Duration) {
	if rec.State != schema.JournalOpen {
		return nil, 0
	}
	behind := map[id.Store]bool{}
	for _, m := range s.members {
		// One that lives, and refuses or can't be reached, keeps nothing either.
		behind[m.Store] = m.Behind || !m.Own && m.Connected.IsZero()
	}
	var drained []id.Store // members that could stay
	for _, store := range rec.Ensemble {
		l, live := s.store(store)
		switch {
		case store == s.self:
			next = append(next, store)
		case !live || l.Leaving || behind[store]:
		case s.drained[l.Broker]:
			drained = append(drained, store)
		default:
			next = append(next, store)
		}
	}
	kept := len(next)
	for _, store := range s.ensemble(cfg, now) {
		l, _ := s.store(store)
		full := len(next) >= cfg.Factor || s.drained[l.Broker] && len(next)+len(drained) >= cfg.Factor
		if !full && !slices.Contains(rec.Ensemble, store) {
			next = append(next, store)
		}
	}
	if len(next) == kept {
		return nil, 0
	}
	next = append(next, drained[:max(0, min(len(drained), cfg.Factor-len(next)))]...)
	if len(next) < cfg.Quorum {
		return nil, 0
	}
	return next, s.patience(cfg, rec.Ensemble, next)
}

// patience is how long to wait before next takes the place of the present members. One whose
// agent is back with another store isn't waited for, unless another one would go with it
// that may only be restarting: all of next must be there to join.
func (s *snapshot) patience(cfg *Config, now, next []id.Store) time.Duration {
	patience := growAfter
	for _, store := range now {
		switch {
		case slices.Contains(next, store):
		case !s.moved[store]:
			return cfg.ReplaceAfter
		default:
			patience = 0
		}
	}
	return patience
}
