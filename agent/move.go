package agent

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
)

// moveAtOnce is how many partitions stand still together while they move: they share
// the upload of their last records.
const moveAtOnce = 64

// move gives partitions away on purpose: flush, then flip. All of it is uploaded
// while they are served; then they stand still for one more short upload and the
// change of the head. What fails within patience stays here. Only one move is under
// way at a time: one must not resume what the other paused.
func (a *Agent) move(ctx context.Context, patience time.Duration, to map[*partition.Partition]cluster.Live) (moved int) {
	round, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case a.moving <- struct{}{}:
		defer func() { <-a.moving }()
	case <-round.Done():
		return 0
	}
	all := slices.SortedFunc(maps.Keys(to), func(x, y *partition.Partition) int { return x.ID().Compare(y.ID()) })
	for some := range slices.Chunk(a.uploaded(round, patience/2, all), moveAtOnce) {
		moved += a.flip(ctx, round, some, to)
	}
	return moved
}

// uploaded returns the partitions of which the tier has what there was at the call: all,
// or those that got so far within patience. One that can't be uploaded holds up no
// other.
func (a *Agent) uploaded(ctx context.Context, patience time.Duration, all []*partition.Partition) (ready []*partition.Partition) {
	ends := make([]int64, len(all))
	for i, p := range all {
		ends[i] = p.State().High
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if a.tier.upload.Flush(ctx, ids(all)...) == nil {
		return all
	}
	for i, p := range all {
		if p.State().TieredEnd >= ends[i] {
			ready = append(ready, p)
		}
	}
	a.log.Warn("partitions not handed over: they could not be uploaded", "partitions", len(all)-len(ready), "of", len(all))
	return ready
}

// flip makes partitions stand still, uploads the rest and changes their heads. They
// would stand still for as long as etcd is away: it must have answered just before.
func (a *Agent) flip(ctx, round context.Context, some []*partition.Partition, to map[*partition.Partition]cluster.Live) (moved int) {
	if !a.etcdAnswers(round) {
		return 0
	}
	for _, p := range some {
		p.Pause()
	}
	if !a.still(round, some) {
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
				a.log.Warn("partition not handed over", "partition", p.ID(), "to", heir.Broker, "err", err)
				a.takeBack(ctx, p)
				return
			}
			a.lose(p) // it may have come back already, as another
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
func (a *Agent) still(ctx context.Context, some []*partition.Partition) bool {
	ctx, cancel := context.WithTimeout(ctx, stillPatience)
	defer cancel()
	for _, p := range some {
		if p.Quiet(ctx) != nil && ctx.Err() != nil {
			return false
		}
	}
	return a.tier.upload.Flush(ctx, ids(some)...) == nil
}

// takeBack lets a partition go on whose hand-over failed. An answer of etcd that did
// not come is no "no": it stands still until a write of its own shows that it kept its
// head, or that another has it. Nothing else is moved meanwhile. If ctx ends first it
// stands still for good: this agent is stopping.
func (a *Agent) takeBack(ctx context.Context, p *partition.Partition) {
	for ctx.Err() == nil {
		err := p.UpdateHead(ctx, func(*metadata.Head) error { return nil })
		if err == nil {
			p.Resume()
			return
		}
		if errors.Is(err, partition.ErrNotOwner) {
			a.lose(p)
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func ids(all []*partition.Partition) []id.Partition {
	out := make([]id.Partition, len(all))
	for i, p := range all {
		out[i] = p.ID()
	}
	return out
}

// heirs are the agents that can take something over: live, with an open journal, not
// about to leave and, if there are others, not drained.
func (a *Agent) heirs() []cluster.Live {
	open := map[id.Incarnation]bool{}
	for j, rec := range a.view.Journals() {
		if rec.State == metadata.JournalOpen {
			open[j.Writer] = true
		}
	}
	drained := a.view.Drained()
	var able, all []cluster.Live
	for _, l := range a.view.Agents() {
		if l.Incarnation != a.inc && !l.Leaving && open[l.Incarnation] {
			all = append(all, l)
			if !drained[l.Broker] {
				able = append(able, l)
			}
		}
	}
	if len(able) == 0 {
		return all // better one that was to own nothing than nobody
	}
	return able
}

// leave hands all partitions to the other agents before this one stops; the
// controller takes the coordinator slots, as it is told that this agent leaves.
//
// Without time to upload they are given away by the controller, when the journal is sealed
// and the session over.
func (a *Agent) leave(ctx, uploads context.Context) {
	a.leaving.Store(true)
	if _, err := a.announce(ctx); err != nil {
		a.log.Warn("other agents were not told that this agent is stopping", "err", err)
		return
	}
	heirs := a.heirs()
	all := a.owned.all()
	if len(heirs) == 0 || len(all) == 0 {
		return
	}
	load := map[id.Broker]int{}
	for _, o := range a.view.Owners() {
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
	began := a.deps.Now()
	if uploads.Err() == nil {
		moved := a.move(uploads, a.cfg.ShutdownTimeout/2, to)
		a.log.Info("partitions handed over", "moved", moved, "of", len(all), "took", a.deps.Now().Sub(began))
	}
	a.awaitSlots(ctx)
}

// awaitSlots returns when no coordinator slot is this agent's any more.
func (a *Agent) awaitSlots(ctx context.Context) {
	for {
		changed := a.view.Changed()
		mine := false
		for _, o := range a.view.Slots() {
			mine = mine || o.Incarnation == a.inc
		}
		if !mine {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
