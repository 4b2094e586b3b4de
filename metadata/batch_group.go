package metadata

import (
	"context"
	"iter"
)

// group is what one caller wants applied as one, or the newest of several Sets.
type group struct {
	guards  []Guard
	ops     []Op
	size    int
	set     bool
	callers []caller
	joined  int // further rooms in the queue that it holds
	held    int // bytes of the queue that it holds

	// maybe is set if an earlier try may have been applied.
	maybe bool
}

// caller is one that waits for a group.
type caller struct {
	ctx  context.Context
	done func(Revision, error)
}

func newGroup(guards []Guard, ops []Op) *group {
	n := opsSize(guards, ops)
	return &group{guards: guards, ops: ops, size: n, held: n}
}

// join takes over a newer Set of the same key.
func (g *group) join(newer *group) {
	g.ops, g.size = newer.ops, newer.size
	g.callers = append(g.callers, newer.callers...)
	g.joined++
	g.held += newer.held
}

// keys are all keys of the group, with whether it writes them.
func (g *group) keys() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for _, o := range g.ops {
			if !yield(o.Key, true) {
				return
			}
		}
		for _, gd := range g.guards {
			if !yield(gd.Key, false) {
				return
			}
		}
	}
}

// wanted reports whether any caller still waits; if not, the last reason.
func (g *group) wanted() error {
	var err error
	for _, c := range g.callers {
		if err = c.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}

// keyLocks are keys in use: by one that writes (-1), or by as many as guard.
type keyLocks map[string]int

// free reports whether the group can have all its keys.
func (l keyLocks) free(g *group) bool {
	for key, writes := range g.keys() {
		if n := l[key]; n < 0 || n > 0 && writes {
			return false
		}
	}
	return true
}

// take marks the keys of a group. A key that it both writes and guards counts
// as written.
func (l keyLocks) take(g *group) {
	for key, writes := range g.keys() {
		switch {
		case writes:
			l[key] = -1
		case l[key] >= 0:
			l[key]++
		}
	}
}

// drop unmarks the keys of a group that has them.
func (l keyLocks) drop(g *group) {
	for key := range g.keys() {
		if n := l[key]; n > 1 {
			l[key] = n - 1
		} else {
			delete(l, key)
		}
	}
}
