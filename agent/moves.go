package agent

import (
	"context"
	"errors"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
)

// movePatience is how long one round of moves may take: with the bucket away there is
// no flush, and what was asked for is looked at again.
const movePatience = 30 * time.Second

// followMoves gives away what somebody asked this agent to give away, until ctx ends.
// What is asked for while a round is under way forms the next.
func (a *Agent) followMoves(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed := a.view.Changed()
		if !a.leaving.Load() {
			a.makeMoves(ctx)
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
func (a *Agent) makeMoves(ctx context.Context) {
	to := map[*partition.Partition]cluster.Live{}
	asked := map[*partition.Partition]cluster.Move{}
	for at, m := range a.view.Moves() {
		p := a.owned.Get(at)
		if p == nil {
			continue
		}
		heir, ok := a.heir(m.To)
		if !ok {
			continue // the controller drops it if that stays so
		}
		to[p], asked[p] = heir, m
	}
	if len(to) == 0 || !a.etcdAnswers(ctx) {
		return
	}
	began := a.deps.Now()
	moved := a.move(ctx, movePatience, to)
	for p, m := range asked {
		if a.owned.Get(p.ID()) != p {
			a.moved(ctx, p.ID(), m)
		}
	}
	a.log.Info("partitions moved", "moved", moved, "of", len(to), "took", a.deps.Now().Sub(began))
}

// heir is the agent that a move names, if it can take something now.
func (a *Agent) heir(b id.Broker) (cluster.Live, bool) {
	for _, l := range a.heirs() {
		if l.Broker == b {
			return l, true
		}
	}
	return cluster.Live{}, false
}

// moved takes away the wish for a move that was fulfilled. If it isn't stored, the
// controller sees that the partition is where it was to go.
func (a *Agent) moved(ctx context.Context, at id.Partition, m cluster.Move) {
	a.run(func() {
		key := metadata.MoveKey(at)
		_, err := a.heads.Write(ctx, []metadata.Guard{{Key: key, Mod: m.Mod}}, metadata.Delete(key))
		if err != nil && ctx.Err() == nil && !errors.Is(err, metadata.ErrConflict) {
			a.log.Debug("finished move not removed yet", "partition", at, "err", err)
		}
	})
}
