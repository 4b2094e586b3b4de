package cluster

import (
	"sync/atomic"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Levels are the cluster's level, and those that agents know (docs/design/0012-upgrades.md).
type Levels struct {
	// Known are the levels that this agent's build knows.
	Known schema.Levels

	now atomic.Pointer[levelRecord]
}

type levelRecord struct {
	schema.Cluster
	mod metadata.Revision
}

func newLevels() *Levels { return &Levels{Known: schema.Known()} }

// Cluster returns the cluster's record, and the revision of its last change, as last seen. What
// agents write must not need a level above its Level.
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

// oldLevels are those that agents know which don't tell.
var oldLevels = schema.Levels{Min: schema.OldestLevel, Max: schema.OldestLevel}

// HighestLevel returns the newest level that all live agents know.
func (v *View) HighestLevel() uint8 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	highest := v.Levels.Known.Max
	for b := range v.mu.agents.rows {
		l, tells := v.mu.levels.rows[b]
		if !tells {
			l = oldLevels
		}
		highest = min(highest, l.Max)
	}
	return highest
}

// LevelsOf returns the levels that a live agent knows.
func (v *View) LevelsOf(b id.Broker) schema.Levels {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if l, ok := v.mu.levels.rows[b]; ok {
		return l
	}
	return oldLevels
}
