package cluster

import (
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Journal is a journal's record as of one moment. It must not be changed.
type Journal struct {
	schema.Journal
	Mod metadata.Revision
}

// Journals returns the records of all journals.
func (v *View) Journals() map[id.Journal]Journal {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.journals.copied()
}

func decodeJournal(_ id.Journal, kv metadata.KV) (Journal, error) {
	rec, err := schema.DecodeJournal(kv.Value)
	return Journal{rec, kv.Mod}, err
}

// Ensemble is the stores that keep the open journal of an incarnation, and so the newest records
// of all its partitions; Kafka's clients see it as replicas.
type Ensemble struct {
	Replicas []int32 // the writer first
	Live     []int32 // those of them that have a session
	Offline  []int32
}

// Ensembles returns the ensembles of all incarnations that have an open journal.
func (v *View) Ensembles() map[id.Incarnation]Ensemble {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[id.Incarnation]Ensemble, len(v.mu.agents.rows))
	for j, rec := range v.mu.journals.rows {
		if rec.State == schema.JournalOpen {
			out[j.Writer] = ensembleOf(&rec, v.mu.homes, v.mu.agents.rows)
		}
	}
	return out
}

// Ensemble returns the ensemble of one incarnation.
func (v *View) Ensemble(i id.Incarnation) (e Ensemble) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for j, rec := range v.mu.journals.rows {
		if j.Writer == i && rec.State == schema.JournalOpen {
			return ensembleOf(&rec, v.mu.homes, v.mu.agents.rows)
		}
	}
	return e
}

// LiveMembers counts the members of an incarnation's open journal that have a session:
// what Kafka calls the in-sync replicas of all its partitions.
func (v *View) LiveMembers(i id.Incarnation) (n int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for j, rec := range v.mu.journals.rows {
		if j.Writer != i || rec.State != schema.JournalOpen {
			continue
		}
		for _, s := range rec.Ensemble {
			if h, known := v.mu.homes[s]; known && v.mu.agents.rows[h.Broker].Store == s {
				n++
			}
		}
	}
	return n
}

// ensembleOf returns the ensemble of a journal.
func ensembleOf(rec *Journal, at homes, agents map[id.Broker]Live) (e Ensemble) {
	for _, s := range rec.Ensemble {
		h, known := at[s]
		if !known {
			continue // it isn't known whose it was
		}
		e.Replicas = append(e.Replicas, int32(h.Broker))
		if agents[h.Broker].Store == s {
			e.Live = append(e.Live, int32(h.Broker))
		} else {
			e.Offline = append(e.Offline, int32(h.Broker))
		}
	}
	return e
}
