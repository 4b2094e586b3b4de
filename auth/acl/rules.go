package acl

import (
	"hash/maphash"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Rules is a set of bindings, indexed for decisions. It never changes: an Edit makes the
// next one, which shares what is the same. The nil Rules has none.
//
// Bindings are gathered by pattern, principal and host, with a bit for each operation. The
// index is a table of small maps, so that one change copies one map and the table.
type Rules struct {
	seed     maphash.Seed
	shards   [shards]shard
	prefixes [User + 1]prefixes // by resource type
	size     int

	principals *principals // of this set alone
}

// principals are the bindings by principal, gathered when they are needed first.
type principals struct {
	once sync.Once
	by   map[string][]Binding
}

// shards is how many maps the index has: a few dozen entries each with the most bindings.
const shards = 1024

// shard is a part of the index.
type shard struct {
	grants   map[grantKey]grant
	patterns map[patternKey]pattern
}

// patternKey is a pattern for resources.
type patternKey struct {
	kind PatternType
	on   ResourceType
	name string
}

// grantKey is a pattern, and for whom from where.
type grantKey struct {
	patternKey
	principal, host string
}

// grant is a set of operations that are allowed, and one of those that are denied, with a
// bit for each by its number.
type grant struct{ allow, deny uint16 }

// pattern counts the bindings of a pattern, and those of them for single hosts: where there
// are none a decision need not look.
type pattern struct{ bindings, hosts int32 }

// prefixes are the prefixed patterns for one type of resource, in order of their names.
type prefixes struct {
	names []string
	// parents has, for each, the index of the longest other one that begins it, or -1.
	parents []int32
}

// Len returns the number of bindings.
func (r *Rules) Len() int {
	if r == nil {
		return 0
	}
	return r.size
}

// All returns every binding, in no order.
func (r *Rules) All() iter.Seq[Binding] {
	return func(yield func(Binding) bool) {
		if r == nil {
			return
		}
		for i := range r.shards {
			for k, g := range r.shards[i].grants {
				if !g.each(k, yield) {
					return
				}
			}
		}
	}
}

// each yields the bindings that a grant gathers.
func (g grant) each(k grantKey, yield func(Binding) bool) bool {
	b := k.binding()
	for b.Operation = All; b.Operation <= TwoPhaseCommit; b.Operation++ {
		for _, set := range [...]struct {
			ops uint16
			p   Permission
		}{{g.allow, Allow}, {g.deny, Deny}} {
			if b.Permission = set.p; set.ops&bit(b.Operation) != 0 && !yield(b) {
				return false
			}
		}
	}
	return true
}

// of returns the bindings of a principal.
func (r *Rules) of(principal string) []Binding {
	if r == nil {
		return nil
	}
	p := r.principals
	p.once.Do(func() {
		p.by = map[string][]Binding{}
		for b := range r.All() {
			p.by[b.Principal] = append(p.by[b.Principal], b)
		}
	})
	return p.by[principal]
}

// Select returns the bindings that a filter matches, in order.
func (r *Rules) Select(f Filter) []Binding {
	var out []Binding
	for b := range r.All() {
		if f.Matches(&b) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, Binding.Compare)
	return out
}

// Has reports whether there is a binding.
func (r *Rules) Has(b Binding) bool {
	if r == nil {
		return false
	}
	g := r.grant(keyOf(b))
	return (g.allow&bit(b.Operation) != 0 && b.Permission == Allow) || (g.deny&bit(b.Operation) != 0 && b.Permission == Deny)
}

func keyOf(b Binding) grantKey {
	return grantKey{patternKey{b.Pattern, b.Type, b.Name}, b.Principal, b.Host}
}

// binding returns a binding of the grant; its operation and permission are missing.
func (k *grantKey) binding() Binding {
	return Binding{Type: k.on, Pattern: k.kind, Name: k.name, Principal: k.principal, Host: k.host}
}

func bit(o Operation) uint16 { return 1 << o }

func (r *Rules) grant(k grantKey) grant { return r.shards[r.shardOfGrant(&k)].grants[k] }

func (r *Rules) pattern(k patternKey) pattern { return r.shards[r.shardOfPattern(&k)].patterns[k] }

func (r *Rules) shardOfGrant(k *grantKey) uint64 {
	return (maphash.String(r.seed, k.name) ^ maphash.String(r.seed, k.principal)) % shards
}

func (r *Rules) shardOfPattern(k *patternKey) uint64 { return maphash.String(r.seed, k.name) % shards }

// longest returns the index of the longest prefix of a name, or -1.
func (p *prefixes) longest(name string) int32 {
	// What lies between a prefix of the name and the name begins with that prefix too: the
	// last that isn't after the name is the longest prefix, or begins with it.
	at := int32(sort.Search(len(p.names), func(i int) bool { return p.names[i] > name })) - 1
	for at >= 0 && !strings.HasPrefix(name, p.names[at]) {
		at = p.parents[at]
	}
	return at
}

// with returns the prefixes with one more, or without one.
func (p *prefixes) with(name string, there bool) prefixes {
	at, found := slices.BinarySearch(p.names, name)
	if found == there {
		return *p
	}
	var names []string
	if there {
		names = slices.Insert(slices.Clone(p.names), at, name)
	} else {
		names = slices.Delete(slices.Clone(p.names), at, at+1)
	}
	return newPrefixes(names)
}

// newPrefixes finds the parents of sorted names.
func newPrefixes(names []string) prefixes {
	p := prefixes{names, make([]int32, len(names))}
	for i, name := range names {
		parent := int32(i) - 1
		for parent >= 0 && !strings.HasPrefix(name, names[parent]) {
			parent = p.parents[parent]
		}
		p.parents[i] = parent
	}
	return p
}
