package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
)

func (a *Agent) millis() int64 { return a.deps.Now().UnixMilli() }

// follow does what the picture of the cluster asks of this agent, at every change
// and from time to time, until ctx ends.
func (a *Agent) follow(ctx context.Context) {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		changed := a.view.Changed()
		a.obey(ctx)
		select {
		case <-changed:
		case <-retry.C:
		case <-a.adopting.ready:
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) obey(ctx context.Context) {
	for _, l := range a.view.Agents() {
		a.known.note(l.Store, l.Peer)
	}
	known := a.view.Journals()
	a.tails.Keep(func(j id.Journal) bool { _, ok := known[j]; return ok })
	a.heedLosses()
	a.holdSlots(ctx)
	a.servePartitions(ctx)
}

// servePartitions serves those that the heads name this agent the owner of, and no
// others.
func (a *Agent) servePartitions(ctx context.Context) {
	fresh := map[*cluster.Topic][]int32{}
	closed := false // something that this agent owns isn't open yet
	tries, live, known, now := map[id.Partition]*try{}, a.incarnations(), a.view.Journals(), a.deps.Now()
	each := func(t *cluster.Topic) {
		settings := partitionSettings(a.view, t, a.self.String())
		for i := range t.Partitions {
			at := id.Partition{Topic: t.ID, Index: i}
			o, _ := a.view.Owner(at)
			p := a.owned.Get(at)
			switch {
			case p != nil && o.Epoch > p.State().Epoch:
				a.lose(p) // to be opened anew, if it came back in this later epoch
			case p != nil:
				if *p.Settings() != *settings {
					p.Configure(settings)
				}
			case o.Incarnation == a.inc && !a.gone(at):
				closed = true
				try := a.adopting.tries[at]
				if try != nil {
					tries[at] = try
				}
				if !try.waits(o.Epoch, now, live, known) {
					fresh[t] = append(fresh[t], i)
				}
			}
		}
	}
	for _, t := range a.view.Topics() {
		each(t)
	}
	for _, d := range a.view.Deleted() {
		each(&cluster.Topic{Name: d.Name, Topic: d.Topic})
	}
	a.inspect.noteOpening(closed, now)
	a.adopting.tries = tries // what is wanted no more is forgotten
	a.unserved.keep(func(at id.Partition) bool {
		o, _ := a.view.Owner(at)
		return o.Incarnation == a.inc && !a.gone(at)
	})
	if !a.leaving.Load() {
		a.serveAll(ctx, a.adopted(known))
		a.open(ctx, a.candidates(ctx, fresh), live)
	}
	var over []*partition.Partition
	for _, p := range a.owned.all() {
		if _, ok := a.view.TopicByID(p.ID().Topic); !ok && a.owned.retire(p) {
			over = append(over, p)
		}
	}
	a.retire(ctx, over)
}

// candidates reads the heads of partitions that this agent was given.
func (a *Agent) candidates(ctx context.Context, fresh map[*cluster.Topic][]int32) (all []*candidate) {
	writers := map[id.Incarnation]bool{}
	for j := range a.view.Journals() {
		writers[j.Writer] = j.Writer != a.inc
	}
	for t, indexes := range fresh {
		settings := partitionSettings(a.view, t, a.self.String())
		heads, err := a.headsOf(ctx, t, indexes)
		_, exists := a.view.TopicByID(t.ID)
		for _, i := range indexes {
			at := id.Partition{Topic: t.ID, Index: i}
			if !exists && a.isTiered(heads[i], writers) {
				a.owned.skip(at)
				continue
			}
			if c, why := a.candidate(t, at, heads[i], settings, err); why != nil {
				a.unserved.note(a, t, at, why)
			} else if c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// isTiered reports whether the tier has all of a partition whose topic was deleted before
// this agent began: no journal is left that its chain names. There is nothing to open
// it for.
func (a *Agent) isTiered(kv metadata.KV, writers map[id.Incarnation]bool) bool {
	if kv.Mod == 0 {
		return false
	}
	head, err := metadata.DecodeHead(kv.Value)
	return err == nil && !slices.ContainsFunc(head.Chain, func(l metadata.Link) bool { return writers[l.Writer] })
}

// listFrom is how many of a topic's heads are read one by one.
const listFrom = 4

// headsOf reads some of a topic's heads.
func (a *Agent) headsOf(ctx context.Context, t *cluster.Topic, indexes []int32) (map[int32]metadata.KV, error) {
	heads := make(map[int32]metadata.KV, len(indexes))
	if len(indexes) < listFrom {
		for _, i := range indexes {
			kv, err := a.deps.Meta.Get(ctx, metadata.HeadKey(id.Partition{Topic: t.ID, Index: i}))
			if err != nil {
				return heads, err
			}
			heads[i] = kv
		}
		return heads, nil
	}
	kvs, _, err := a.deps.Meta.List(ctx, metadata.TopicHeads(t.ID))
	for _, kv := range kvs {
		if p, err := metadata.ParseHeadKey(kv.Key); err == nil {
			heads[p.Index] = kv
		}
	}
	return heads, err
}

// candidate makes a partition out of its head; nil if it is another's by now.
func (a *Agent) candidate(t *cluster.Topic, at id.Partition, kv metadata.KV, s *partition.Settings, err error) (*candidate, error) {
	if kv.Mod == 0 {
		return nil, err
	}
	head, err := metadata.DecodeHead(kv.Value)
	if err != nil || head.Owner != a.inc {
		return nil, err
	}
	return &candidate{topic: t, head: head, p: partition.New(at, a.parts, head, kv.Mod, s)}, nil
}

// lose ends a partition that has another owner.
func (a *Agent) lose(p *partition.Partition) {
	if a.owned.Get(p.ID()) == p {
		a.owned.remove(p.ID())
	}
	p.Close()
}

// retire ends partitions whose topics were deleted, and which are marked so, once all
// of each is in the tier, so that the topic can be brought back whole. Who is back
// before that goes on.
func (a *Agent) retire(ctx context.Context, all []*partition.Partition) {
	if len(all) == 0 {
		return
	}
	a.run(func() {
		for len(all) > 0 {
			round, cancel := context.WithTimeout(ctx, retireRound)
			err := a.tier.upload.Flush(round, ids(all)...)
			cancel()
			all = slices.DeleteFunc(all, func(p *partition.Partition) bool { return a.retired(ctx, p) })
			if errors.Is(err, context.Canceled) {
				break // this agent stops
			}
			if len(all) > 0 {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
		a.view.Touch()
	})
}

// retireRound bounds one try to upload what is left of all that retire together: one
// that can't be uploaded keeps no other.
const retireRound = 10 * time.Second

// retired ends a partition if that is possible now; false: it is to be tried again.
func (a *Agent) retired(ctx context.Context, p *partition.Partition) bool {
	if _, back := a.view.TopicByID(p.ID().Topic); back {
		a.owned.keep(p)
		return true
	}
	if a.owned.Get(p.ID()) != p {
		return true // it has another owner
	}
	if !p.Retire() && !a.purged(ctx, p.ID().Topic) {
		return false
	}
	a.owned.retired(p)
	p.Close()
	return true
}

// purged reports whether nothing is left of a deleted topic in etcd: the time in which it
// could be brought back is over, and what was not uploaded of it is wanted by nobody.
func (a *Agent) purged(ctx context.Context, t id.Topic) bool {
	if _, ok := a.view.Deleted()[t]; ok {
		return false
	}
	before := a.seen.Newest()
	heads, rev, err := a.deps.Meta.List(ctx, metadata.TopicHeads(t))
	if err != nil || len(heads) > 0 {
		return false
	}
	return a.seen.Confirm(before, rev, a.log, a.die) == nil
}

// gone reports whether a partition of a deleted topic was uploaded and closed; it is
// opened again when the topic is brought back.
func (a *Agent) gone(at id.Partition) bool {
	_, exists := a.view.TopicByID(at.Topic)
	return a.owned.wasRetired(at, exists)
}
