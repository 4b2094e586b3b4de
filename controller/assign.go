package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
)

// assignPartitions assigns every partition that no one serves to a live agent.
func (c *Controller) assignPartitions(ctx context.Context, p *picture) {
	if len(p.agents) == 0 {
		return
	}
	orphans := c.sealedOnly(ctx, c.orphans(ctx, p))
	if len(orphans) == 0 {
		return
	}
	stored, err := c.ownerships(ctx, orphans)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("partition assignment deferred", "err", err)
		}
		return
	}
	heirs := p.share(orphans)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 1024)
	var mu sync.Mutex
	var failed error
	given := 0
	for i, o := range orphans {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			done, err := c.give(ctx, o, stored[o.partition], heirs[i])
			mu.Lock()
			defer mu.Unlock()
			if done {
				given++
			} else if err != nil && !errors.Is(err, metadata.ErrConflict) {
				failed = err
			}
		})
	}
	wg.Wait()
	c.metrics.given.Add(float64(given))
	if failed != nil && ctx.Err() == nil {
		c.log.Warn("assignment of some partitions deferred", "err", failed)
	}
	if given > 0 {
		c.log.Info("partitions assigned", "partitions", given, "agents", len(p.agents))
	}
}

// orphan is a partition that no one serves.
type orphan struct {
	partition id.Partition
	last      cluster.Owner // that served it; zero: none ever did
}

// orphans are the partitions whose owner is dead and whose owner's journals are
// sealed, in order.
func (c *Controller) orphans(ctx context.Context, p *picture) (found []orphan) {
	each := func(t id.Topic, partitions int32, deleted bool) {
		for i := range partitions {
			at := id.Partition{Topic: t, Index: i}
			o := p.owners[at]
			if o.Incarnation == 0 && !deleted || o.Incarnation != 0 && (!p.unsealed[o.Incarnation] || mutate.On(mutate.TrustLease)) && c.dead(ctx, p, o.Incarnation, o.Broker) {
				found = append(found, orphan{at, o})
			}
		}
	}
	for _, t := range p.topics {
		each(t.ID, t.Partitions, false)
	}
	for t, d := range p.deleted {
		each(t, d.Topic.Partitions, true) // what isn't in the tier yet is to be uploaded
	}
	slices.SortFunc(found, func(a, b orphan) int { return a.partition.Compare(b.partition) })
	return found
}

// share chooses an heir for each orphan: one that stores the tail, if there is one,
// and of these the one with the fewest partitions.
func (p *picture) share(orphans []orphan) []cluster.Live {
	load := p.counts()
	keepers := p.keepers()
	heirs := make([]cluster.Live, len(orphans))
	for i, o := range orphans {
		able := keepers[o.last.Incarnation]
		if len(able) == 0 {
			able = p.agents
		}
		heirs[i] = slices.MinFunc(able, func(a, b cluster.Live) int {
			return cmp.Or(cmp.Compare(load[a.Broker], load[b.Broker]), cmp.Compare(a.Broker, b.Broker))
		})
		load[heirs[i].Broker]++
	}
	return heirs
}

// keepers are, for each writer, the agents that store all of its journals.
func (p *picture) keepers() map[id.Incarnation][]cluster.Live {
	journals := map[id.Incarnation]int{}
	has := map[id.Incarnation]map[id.Store]int{}
	for j, rec := range p.journals {
		if rec.State == metadata.JournalSealed && rec.End == 0 {
			continue
		}
		journals[j.Writer]++
		for _, s := range rec.Keepers() {
			if has[j.Writer] == nil {
				has[j.Writer] = map[id.Store]int{}
			}
			has[j.Writer][s]++
		}
	}
	out := map[id.Incarnation][]cluster.Live{}
	for i, n := range journals {
		for _, a := range p.agents {
			if has[i][a.Store] == n {
				out[i] = append(out[i], a)
			}
		}
	}
	return out
}

// ownerships reads those of orphans; what has none is new.
func (c *Controller) ownerships(ctx context.Context, orphans []orphan) (map[id.Partition]metadata.KV, error) {
	wanted := map[id.Topic]bool{}
	for _, o := range orphans {
		if o.last.Incarnation != 0 {
			wanted[o.partition.Topic] = true
		}
	}
	found := map[id.Partition]metadata.KV{}
	for _, t := range slices.SortedFunc(maps.Keys(wanted), func(a, b id.Topic) int { return slices.Compare(a[:], b[:]) }) {
		kvs, _, err := c.deps.Store.List(ctx, metadata.TopicOwners(t))
		if err != nil {
			return nil, err
		}
		for _, kv := range kvs {
			if p, err := metadata.ParseOwnerKey(kv.Key); err == nil {
				found[p] = kv
			}
		}
	}
	return found, nil
}

// give makes an agent the owner of a partition, unless another agent owns it now
// than in the picture.
func (c *Controller) give(ctx context.Context, o orphan, kv metadata.KV, to cluster.Live) (done bool, err error) {
	if (kv.Mod == 0) != (o.last.Incarnation == 0) {
		return false, nil // its data is gone, or it was given meanwhile
	}
	var own metadata.Ownership
	key := metadata.OwnerKey(o.partition)
	guards := []metadata.Guard{{Key: key, Mod: kv.Mod}}
	if kv.Mod != 0 {
		if own, err = metadata.DecodeOwnership(kv.Value); err != nil {
			return false, fmt.Errorf("%v: %w", o.partition, err)
		}
		if own.Owner != o.last.Incarnation {
			return false, nil
		}
	} else {
		guards = append(guards, metadata.Guard{Key: metadata.HeadKey(o.partition)}) // what has data isn't new
	}
	own.Give(to.Incarnation, to.Broker)
	_, err = c.deps.Writer.Write(ctx, guards, metadata.Put(key, own.Encode()))
	return err == nil, err
}
