package cluster

import (
	"sync/atomic"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Levels shows the cluster's level and the levels that agents know (docs/design/0012-upgrades.md).
type Levels struct {
	// Known are the levels that this agent's build knows.
	Known schema.Levels

	view *View
	now  atomic.Pointer[levelRecord]
}

type levelRecord struct {
	schema.Cluster
	mod metadata.Revision
}

func newLevels() *Levels { return &Levels{Known: schema.Known()} }

// Cluster returns the cluster's record as last seen, and the revision of its last change. Agents must
// not write formats of a level above its Level.
func (l *Levels) Cluster() (schema.Cluster, metadata.Revision) {
	if r := l.now.Load(); r != nil {
		return r.Cluster, r.mod
	}
	return schema.Cluster{}, 0
}

func (l *Levels) changed(_ struct{}, _, now *levelRecord) {
	if now != nil {
		l.now.Store(now)
	}
}

func decodeCluster(_ struct{}, kv metadata.KV) (r levelRecord, err error) {
	r.mod = kv.Mod
	r.Cluster, err = schema.DecodeCluster(kv.Value)
	return r, err
}

// oldLevels are the levels of an agent without a levels key, which is of a build from before levels.
var oldLevels = schema.Levels{Min: schema.OldestLevel, Max: schema.OldestLevel}

// Highest returns the newest level that all live agents know.
func (l *Levels) Highest() uint8 {
	v := l.view
	v.mu.RLock()
	defer v.mu.RUnlock()
	highest := l.Known.Max
	for b := range v.mu.agents.rows {
		highest = min(highest, v.mu.tables.levelsOf(b).Max)
	}
	return highest
}

// Of returns the levels that a live agent knows.
func (l *Levels) Of(b id.Broker) schema.Levels {
	l.view.mu.RLock()
	defer l.view.mu.RUnlock()
	return l.view.mu.tables.levelsOf(b)
}

func (t *tables) levelsOf(b id.Broker) schema.Levels {
	if l, tells := t.levels.rows[b]; tells {
		return l
	}
	return oldLevels
}
