package quota

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Set is all quotas. It never changes. A nil Set has none.
type Set struct {
	values map[Entity]Values
	some   [numKeys]int // how many entities have a quota, by key
}

// With returns the set with an entity's quotas replaced; none of them removes the entity.
func (s *Set) With(changes map[Entity]Values) *Set {
	next := &Set{values: map[Entity]Values{}}
	if s != nil {
		next.values = maps.Clone(s.values)
	}
	for e, v := range changes {
		if v == (Values{}) {
			delete(next.values, e)
		} else {
			next.values[e] = v
		}
	}
	for _, v := range next.values {
		for k := range v {
			if v[k] > 0 {
				next.some[k]++
			}
		}
	}
	if len(next.values) == 0 {
		return nil
	}
	return next
}

// Len returns the number of entities.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.values)
}

// Get returns an entity's own quotas.
func (s *Set) Get(e Entity) Values {
	if s == nil {
		return Values{}
	}
	return s.values[e]
}

// Has reports whether any entity has a quota of a kind.
func (s *Set) Has(k Key) bool { return s != nil && s.some[k] > 0 }

// All returns the entities with their quotas, in order.
func (s *Set) All() iter.Seq2[Entity, Values] {
	return func(yield func(Entity, Values) bool) {
		if s == nil {
			return
		}
		for _, e := range slices.SortedFunc(maps.Keys(s.values), Entity.Compare) {
			if !yield(e, s.values[e]) {
				return
			}
		}
	}
}

// Compare orders entities: users first, then clients, then addresses; defaults before names.
func (e Entity) Compare(o Entity) int {
	there := func(p Part) int {
		if p.There {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(there(o.IP), there(e.IP)), cmp.Compare(there(e.User), there(o.User)), cmp.Compare(e.User.Name, o.User.Name), cmp.Compare(there(o.ClientID), there(e.ClientID)),
		cmp.Compare(e.ClientID.Name, o.ClientID.Name), cmp.Compare(e.IP.Name, o.IP.Name))
}

// Rule is the quota that holds for a client.
type Rule struct {
	Key    Key
	Entity Entity  // whose quota it is
	Bound  float64 // per second
	Of     Entity  // who has it: those with the same one share it
}

// Find returns the quota of a kind that holds for a user with a client id. The first of these
// that has one counts, as by Kafka: user and client, user and any client, user, any user and
// client, any user and any client, any user, client, any client.
func (s *Set) Find(k Key, user, clientID string) (Rule, bool) {
	if !s.Has(k) {
		return Rule{}, false
	}
	u, c := Named(user), Named(clientID)
	for _, e := range [...]Entity{{User: u, ClientID: c}, {User: u, ClientID: Default()}, {User: u}, {User: Default(), ClientID: c},
		{User: Default(), ClientID: Default()}, {User: Default()}, {ClientID: c}, {ClientID: Default()}} {
		bound := s.values[e][k]
		if bound == 0 {
			continue
		}
		r := Rule{Key: k, Entity: e, Bound: bound}
		if e.User.There {
			r.Of.User = u
		}
		if e.ClientID.There {
			r.Of.ClientID = c
		}
		return r, true
	}
	return Rule{}, false
}

// FindIP returns the quota of a kind that holds for an address.
func (s *Set) FindIP(k Key, ip string) (Rule, bool) {
	if !s.Has(k) {
		return Rule{}, false
	}
	if a, ok := Address(ip); ok {
		ip = a
	}
	for _, e := range [...]Entity{{IP: Named(ip)}, {IP: Default()}} {
		if bound := s.values[e][k]; bound > 0 {
			return Rule{k, e, bound, Entity{IP: Named(ip)}}, true
		}
	}
	return Rule{}, false
}
