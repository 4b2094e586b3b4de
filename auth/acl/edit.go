package acl

import (
	"hash/maphash"
	"maps"
	"slices"
)

// Edit makes Rules out of earlier ones. It isn't safe for concurrent use.
type Edit struct {
	from  *Rules
	now   *Rules              // nil: nothing was changed yet
	own   map[uint64]bool     // shards that were copied
	moved map[patternKey]bool // prefixed patterns that appeared or went
}

// NewEdit begins with the bindings of from, which may be nil.
func NewEdit(from *Rules) *Edit { return &Edit{from: from} }

// New returns the rules with these bindings.
func New(bindings ...Binding) *Rules {
	e := NewEdit(nil)
	for _, b := range bindings {
		e.Add(b)
	}
	return e.Rules()
}

// Rules returns the rules with all changes. If nothing was changed they are those that the
// edit began with.
func (e *Edit) Rules() *Rules {
	if e.now == nil {
		return e.from
	}
	e.sortPrefixes()
	r := e.now
	*e = Edit{from: r}
	return r
}

// Add adds a binding, which must be valid, if it isn't there.
func (e *Edit) Add(b Binding) { e.set(b, true) }

// Remove removes a binding.
func (e *Edit) Remove(b Binding) { e.set(b, false) }

func (e *Edit) set(b Binding, there bool) {
	current := e.from
	if e.now != nil {
		current = e.now
	}
	if current.Has(b) == there {
		return
	}
	e.begin()
	k, r := keyOf(b), e.now
	grants := e.shard(r.shardOfGrant(&k)).grants
	g := grants[k]
	ops := &g.allow
	if b.Permission == Deny {
		ops = &g.deny
	}
	*ops ^= bit(b.Operation)
	if grants[k] = g; g == (grant{}) {
		delete(grants, k)
	}
	e.count(k, there)
}

// count keeps the number of bindings, by pattern.
func (e *Edit) count(k grantKey, there bool) {
	patterns := e.shard(e.now.shardOfPattern(&k.patternKey)).patterns
	p, delta := patterns[k.patternKey], int32(1)
	if !there {
		delta = -1
	}
	appeared := p.bindings == 0
	p.bindings += delta
	if k.host != Wildcard {
		p.hosts += delta
	}
	if patterns[k.patternKey] = p; p.bindings == 0 {
		delete(patterns, k.patternKey)
	}
	if k.kind == Prefixed && (appeared || p.bindings == 0) {
		e.moved[k.patternKey] = p.bindings > 0
	}
	e.now.size += int(delta)
}

// begin copies the table of what the edit began with.
func (e *Edit) begin() {
	if e.now != nil {
		return
	}
	e.now = &Rules{seed: maphash.MakeSeed()}
	if e.from != nil {
		*e.now = *e.from
	}
	e.now.principals = new(principals)
	e.own, e.moved = map[uint64]bool{}, map[patternKey]bool{}
}

// shard returns a shard that may be changed.
func (e *Edit) shard(n uint64) *shard {
	s := &e.now.shards[n]
	if !e.own[n] {
		e.own[n] = true
		s.grants, s.patterns = maps.Clone(s.grants), maps.Clone(s.patterns)
		if s.grants == nil {
			s.grants = map[grantKey]grant{}
		}
		if s.patterns == nil {
			s.patterns = map[patternKey]pattern{}
		}
	}
	return s
}

// sortPrefixes puts the prefixed patterns that appeared or went into their lists.
func (e *Edit) sortPrefixes() {
	if len(e.moved) == 1 {
		for k, there := range e.moved {
			e.now.prefixes[k.on] = e.now.prefixes[k.on].with(k.name, there)
		}
		return
	}
	by := map[ResourceType]bool{}
	for k := range e.moved {
		by[k.on] = true
	}
	for on := range by {
		names := slices.DeleteFunc(slices.Clone(e.now.prefixes[on].names), func(name string) bool {
			_, moved := e.moved[patternKey{Prefixed, on, name}]
			return moved
		})
		for k, there := range e.moved {
			if there && k.on == on {
				names = append(names, k.name)
			}
		}
		slices.Sort(names)
		e.now.prefixes[on] = newPrefixes(names)
	}
}
