package owner

import (
	"context"
	"errors"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// movePatience is how long one round of moves may take: with the bucket away there is
// no flush, and what was asked for is looked at again.
const movePatience = 30 * time.Second

// Run hands over what this agent was asked to hand over, until ctx ends.
// What is asked for while a round is under way forms the next.
func (m *Mover) Run(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed := m.deps.View.Changed()
		if !m.deps.Leaving() {
			m.makeMoves(ctx)
		}
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}

// makeMoves makes one round: all moves of partitions that this agent serves.
func (m *Mover) makeMoves(ctx context.Context) {
	to := map[*partition.Partition]cluster.Live{}
	asked := map[*partition.Partition]cluster.Move{}
	for at, wish := range m.deps.View.Moves() {
		p := m.deps.Set.Get(at)
		if p == nil {
			continue
		}
		heir, ok := m.heir(wish.To)
		if !ok {
			continue // the controller drops it if that stays so
		}
		to[p], asked[p] = heir, wish
	}
	if len(to) == 0 || !m.deps.EtcdAnswers(ctx) {
		return
	}
	began := m.deps.Now()
	moved := m.Move(ctx, movePatience, to)
	for p, wish := range asked {
		if m.deps.Set.Get(p.ID()) != p {
			m.moved(ctx, p.ID(), wish)
		}
	}
	m.deps.Log.Info("partitions moved", "moved", moved, "of", len(to), "took", m.deps.Now().Sub(began))
}

// heir is the agent that a move names, if it can take something now.
func (m *Mover) heir(b id.Broker) (cluster.Live, bool) {
	for _, l := range m.Heirs() {
		if l.Broker == b {
			return l, true
		}
	}
	return cluster.Live{}, false
}

// moved takes away the wish for a move that was fulfilled. If it isn't stored, the
// controller sees that the partition is where it was to go.
func (m *Mover) moved(ctx context.Context, at id.Partition, wish cluster.Move) {
	m.deps.Go(func() {
		key := schema.MoveKey(at)
		_, err := m.deps.Heads.Write(ctx, []metadata.Guard{{Key: key, Mod: wish.Mod}}, metadata.Delete(key))
		if err != nil && ctx.Err() == nil && !errors.Is(err, metadata.ErrConflict) {
			m.deps.Log.Debug("finished move not removed yet", "partition", at, "err", err)
		}
	})
}
