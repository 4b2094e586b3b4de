package cluster

import (
	"varve/internal/id"
	"varve/metadata"
)

// Ensemble is who keeps the open journal of an incarnation, and so the newest records
// of all its partitions; Kafka's clients see it as replicas.
type Ensemble struct {
	Replicas []int32 // the writer first
	Live     []int32 // those of them that have a session
	Offline  []int32
}

// Ensembles gives the ensembles of all incarnations that have an open journal.
func (v *View) Ensembles() map[id.Incarnation]Ensemble {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[id.Incarnation]Ensemble, len(v.mu.agents))
	for j, rec := range v.mu.journal {
		if rec.State == metadata.JournalOpen {
			out[j.Writer] = v.ensemble(&rec)
		}
	}
	return out
}

// Ensemble gives the ensemble of one incarnation.
func (v *View) Ensemble(i id.Incarnation) (e Ensemble) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for j, rec := range v.mu.journal {
		if j.Writer == i && rec.State == metadata.JournalOpen {
			return v.ensemble(&rec)
		}
	}
	return e
}

// LiveMembers counts the members of an incarnation's open journal that have a session:
// what Kafka calls the in-sync replicas of all its partitions.
func (v *View) LiveMembers(i id.Incarnation) (n int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for j, rec := range v.mu.journal {
		if j.Writer != i || rec.State != metadata.JournalOpen {
			continue
		}
		for _, s := range rec.Ensemble {
			if b, known := v.mu.homes[s]; known && v.mu.agents[b].Store == s {
				n++
			}
		}
	}
	return n
}

func (v *View) ensemble(rec *Journal) (e Ensemble) {
	for _, s := range rec.Ensemble {
		b, known := v.mu.homes[s]
		if !known {
			continue // it never lived since this agent began
		}
		e.Replicas = append(e.Replicas, int32(b))
		if v.mu.agents[b].Store == s {
			e.Live = append(e.Live, int32(b))
		} else {
			e.Offline = append(e.Offline, int32(b))
		}
	}
	return e
}
