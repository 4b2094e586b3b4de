package controller

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
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
	orphans, err := c.unwritten(ctx, orphans)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("partition assignment deferred", "err", err)
		}
		return
	}
	heirs := p.share(orphans)
	var writes errgroup.Group // none of them fails the others
	writes.SetLimit(writesAtOnce)
	var mu sync.Mutex
	var failed error
	given := 0
	for i, o := range orphans {
		writes.Go(func() error {
			done, err := c.give(ctx, o, heirs[i])
			mu.Lock()
			defer mu.Unlock()
			if done {
				given++
			} else if err != nil && !errors.Is(err, metadata.ErrConflict) {
				failed = err
			}
			return nil
		})
	}
	_ = writes.Wait()
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
	dead := map[id.Incarnation]bool{}
	for _, o := range slices.SortedFunc(maps.Keys(p.owned.Owners), func(a, b cluster.Owner) int {
		return cmp.Or(cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(a.Broker, b.Broker))
	}) {
		if (!p.unsealed[o.Incarnation] || mutate.On(mutate.TrustLease)) && c.dead(ctx, p, o.Incarnation, o.Broker) {
			dead[o.Incarnation] = true
		}
	}
	each := func(t id.Topic, partitions int32, deleted bool) {
		if len(dead) == 0 && (deleted || p.allOwned(t, partitions)) {
			return // there may be many
		}
		for i := range partitions {
			at := id.Partition{Topic: t, Index: i}
			o := p.owners[at]
			if o.Incarnation == 0 && !deleted || dead[o.Incarnation] {
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

// allOwned reports whether all partitions of a topic have an owner, dead or alive.
func (p *picture) allOwned(t id.Topic, partitions int32) bool {
	return p.owned.Topics[t] == int(partitions)
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
		if rec.State == schema.JournalSealed && rec.End == 0 {
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

// unwritten leaves out the orphans that no one ever owned although there is data of them.
// They were in use by an agent of an earlier build while the cluster was converted.
func (c *Controller) unwritten(ctx context.Context, orphans []orphan) ([]orphan, error) {
	fresh := map[id.Topic]bool{}
	for _, o := range orphans {
		if o.last.Incarnation == 0 {
			fresh[o.partition.Topic] = true
		}
	}
	written := map[string]bool{}
	for t := range fresh {
		kvs, _, err := c.deps.Store.List(ctx, schema.TopicHeads(t))
		if err != nil {
			return nil, err
		}
		for _, kv := range kvs {
			written[kv.Key] = true
		}
	}
	unowned := map[id.Partition]bool{}
	orphans = slices.DeleteFunc(orphans, func(o orphan) bool {
		lost := o.last.Incarnation == 0 && written[schema.HeadKey(o.partition)]
		if lost {
			unowned[o.partition] = true
			if !c.unowned[o.partition] {
				c.log.Error("a partition has data, but no owner is known: it is not assigned", "partition", o.partition)
			}
		}
		return lost
	})
	c.unowned = unowned
	return orphans, nil
}

// give makes an agent the owner of a partition, unless another agent owns it now
// than in the picture.
func (c *Controller) give(ctx context.Context, o orphan, to cluster.Live) (done bool, err error) {
	own := c.deps.View.Ownership(o.partition)
	if own.Owner != o.last.Incarnation {
		return false, nil // it was given meanwhile, or its data is gone
	}
	own.Chain = slices.Clone(own.Chain)
	own.Give(to.Incarnation, to.Broker)
	key := schema.OwnerKey(o.partition)
	_, err = c.deps.Writer.Write(ctx, []metadata.Guard{{Key: key, Mod: own.Mod}}, metadata.Put(key, own.Encode()))
	return err == nil, err
}
