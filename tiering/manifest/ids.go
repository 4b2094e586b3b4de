package manifest

import (
	"sync"

	"varve/internal/id"
	"varve/metadata/schema"
)

// ObjectIDs assigns the names of an incarnation's objects and pages and remembers
// which of them may still be committed. What is below Floor is settled: it was
// committed or never will be. Garbage collection relies on it.
type ObjectIDs struct {
	writer id.Incarnation

	mu struct {
		sync.Mutex
		next uint64
		open map[uint64]struct{}
	}
}

// NewObjectIDs starts the names of an incarnation with number first; one per run of an agent.
func NewObjectIDs(writer id.Incarnation, first uint64) *ObjectIDs {
	n := &ObjectIDs{writer: writer}
	n.mu.next = first
	n.mu.open = map[uint64]struct{}{}
	return n
}

// Writer is the incarnation that the names belong to.
func (n *ObjectIDs) Writer() id.Incarnation { return n.writer }

// Next returns a name that was never given before. It is open until it is settled.
func (n *ObjectIDs) Next() schema.Object {
	n.mu.Lock()
	defer n.mu.Unlock()
	seq := n.mu.next
	n.mu.next++
	n.mu.open[seq] = struct{}{}
	return schema.Object{Writer: n.writer, Seq: seq}
}

// Settle marks the names as committed, or as never to be committed.
func (n *ObjectIDs) Settle(names ...schema.Object) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range names {
		delete(n.mu.open, o.Seq)
	}
}

// Floor is the lowest number that is not settled.
func (n *ObjectIDs) Floor() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	floor := n.mu.next
	for seq := range n.mu.open {
		floor = min(floor, seq)
	}
	return floor
}
