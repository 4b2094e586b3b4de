package owner

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"varve/cluster"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// Mover hands partitions to other agents on purpose: on request, or
// because this agent leaves.
type Mover struct {
	deps   Deps
	moving *semaphore.Weighted // of 1: partitions are moved
}

// NewMover makes a Mover.
func NewMover(deps Deps) *Mover { return &Mover{deps: deps, moving: semaphore.NewWeighted(1)} }

// moveAtOnce is how many partitions stand still together while they move: they share
// the upload of their last records.
const moveAtOnce = 64

// Move hands partitions over on purpose: flush, then flip. All of it is uploaded
// while they are served; then they stand still for one more short upload and the
// change of the head. What fails within patience stays here. Only one move is under
// way at a time: one must not resume what the other paused.
func (m *Mover) Move(ctx context.Context, patience time.Duration, to map[*partition.Partition]cluster.Live) (moved int) {
	round, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if m.moving.Acquire(round, 1) != nil {
		return 0
	}
	defer m.moving.Release(1)
	all := slices.SortedFunc(maps.Keys(to), func(x, y *partition.Partition) int { return x.ID().Compare(y.ID()) })
	for some := range slices.Chunk(m.uploaded(round, patience/2, all), moveAtOnce) {
		moved += m.flip(ctx, round, some, to)
	}
	return moved
}

// uploaded returns the partitions of which the tier has what there was at the call: all,
// or those that got so far within patience. One that can't be uploaded holds up no
// other.
func (m *Mover) uploaded(ctx context.Context, patience time.Duration, all []*partition.Partition) (ready []*partition.Partition) {
	ends := make([]int64, len(all))
	for i, p := range all {
		ends[i] = p.State().High
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if m.deps.Flush(ctx, ids(all)...) == nil {
		return all
	}
	for i, p := range all {
		if p.State().TieredEnd >= ends[i] {
			ready = append(ready, p)
		}
	}
	if n := len(all) - len(ready); n > 0 {
		m.deps.Log.Warn("partitions not handed over: they could not be uploaded", "partitions", n, "of", len(all))
	}
	return ready
}

// flip makes partitions stand still, uploads the rest and changes their heads. They
// would stand still for as long as etcd is away: it must have answered just before.
func (m *Mover) flip(ctx, round context.Context, some []*partition.Partition, to map[*partition.Partition]cluster.Live) (moved int) {
	if !m.deps.EtcdAnswers(round) {
		return 0
	}
	for _, p := range some {
		p.Pause()
	}
	if !m.still(round, some) {
		for _, p := range some {
			p.Resume()
		}
		return 0
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, p := range some {
		wg.Go(func() {
			heir := to[p]
			if err := p.HandOver(round, heir.Incarnation, heir.Broker); err != nil {
				level := slog.LevelWarn
				if errors.Is(err, partition.ErrNotOwner) {
					level = slog.LevelDebug // another has it already
				}
				m.deps.Log.Log(ctx, level, "partition not handed over", "partition", p.ID(), "to", heir.Broker, "err", err)
				m.takeBack(ctx, p)
				return
			}
			m.deps.Set.Lose(p) // it may have come back already, as another
			mu.Lock()
			moved++
			mu.Unlock()
		})
	}
	wg.Wait()
	return moved
}

// stillPatience is how long partitions stand still for the upload of their last records:
// if it takes longer, they go on here.
const stillPatience = 5 * time.Second

// still returns when the tier has all of the partitions, which are paused.
func (m *Mover) still(ctx context.Context, some []*partition.Partition) bool {
	ctx, cancel := context.WithTimeout(ctx, stillPatience)
	defer cancel()
	for _, p := range some {
		if p.Quiet(ctx) != nil && ctx.Err() != nil {
			return false
		}
	}
	return m.deps.Flush(ctx, ids(some)...) == nil
}

// takeBack lets a partition go on whose hand-over failed. An answer of etcd that did
// not come is no "no": it stands still until a write of its own shows that it kept its
// head, or that another has it. Nothing else is moved meanwhile. If ctx ends first it
// stands still for good: this agent is stopping.
func (m *Mover) takeBack(ctx context.Context, p *partition.Partition) {
	for ctx.Err() == nil {
		err := p.UpdateHead(ctx, func(*schema.Head) error { return nil })
		if err == nil {
			p.Resume()
			return
		}
		if errors.Is(err, partition.ErrNotOwner) {
			m.deps.Set.Lose(p)
			return
		}
		_ = backoff.Sleep(ctx, 200*time.Millisecond) // the loop looks at ctx
	}
}

func ids(all []*partition.Partition) []id.Partition {
	out := make([]id.Partition, len(all))
	for i, p := range all {
		out[i] = p.ID()
	}
	return out
}
