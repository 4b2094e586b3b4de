package owner

import (
	"cmp"
	"context"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// Heirs returns the agents that can take something over: live, with an open journal, not
// about to leave and, if there are others, not drained.
func (m *Mover) Heirs() []cluster.Live {
	v := m.deps.View
	return heirs(m.deps.Incarnation, v.Agents(), v.Journals(), v.Drained())
}

func heirs(self id.Incarnation, agents []cluster.Live, journals map[id.Journal]cluster.Journal, drained map[id.Broker]bool) []cluster.Live {
	open := map[id.Incarnation]bool{}
	for j, rec := range journals {
		if rec.State == schema.JournalOpen {
			open[j.Writer] = true
		}
	}
	var able, all []cluster.Live
	for _, l := range agents {
		if l.Incarnation != self && !l.Leaving && open[l.Incarnation] {
			all = append(all, l)
			if !drained[l.Broker] {
				able = append(able, l)
			}
		}
	}
	if len(able) == 0 {
		return all // better one that was to own nothing than none
	}
	return able
}

// leaveAtOnce is how many partitions get their heirs at once when an agent leaves.
const leaveAtOnce = 8 * moveAtOnce

// Leave hands all partitions to the heirs, those to which the fewest belong first. Heirs may
// begin to leave, too, so they are chosen anew from time to time. What fails within patience,
// or until ctx ends, stays.
func (m *Mover) Leave(ctx context.Context, patience time.Duration) {
	began, all := m.deps.Now(), m.deps.Set.All()
	if len(all) == 0 || len(m.Heirs()) == 0 {
		return
	}
	moved := 0
	for some := range slices.Chunk(all, leaveAtOnce) {
		heirs, left := m.Heirs(), patience-m.deps.Now().Sub(began)
		if len(heirs) == 0 || left <= 0 {
			break
		}
		moved += m.Move(ctx, left, spread(some, heirs, m.deps.View.Owners()))
	}
	m.deps.Log.Info("partitions handed over", "moved", moved, "of", len(all), "took", m.deps.Now().Sub(began))
}

// spread chooses an heir for each partition, so that all have about equally many.
func spread(all []*partition.Partition, heirs []cluster.Live, owners map[id.Partition]cluster.Owner) map[*partition.Partition]cluster.Live {
	load := map[id.Broker]int{}
	for _, o := range owners {
		load[o.Broker]++
	}
	to := make(map[*partition.Partition]cluster.Live, len(all))
	for _, p := range all {
		heir := slices.MinFunc(heirs, func(x, y cluster.Live) int {
			return cmp.Or(cmp.Compare(load[x.Broker], load[y.Broker]), cmp.Compare(x.Broker, y.Broker))
		})
		load[heir.Broker]++
		to[p] = heir
	}
	return to
}
