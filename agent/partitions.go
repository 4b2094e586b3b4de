package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
	"varve/wal"
)

// candidate is a partition that this agent may take over.
type candidate struct {
	topic *cluster.Topic
	head  *metadata.Head
	rev   metadata.Revision
	p     *partition.Partition
	why   error // why it can't be served
}

// takePartitions takes all that has no live owner, once at the start.
func (a *Agent) takePartitions(ctx, _ context.Context) error {
	a.parts = &partition.Deps{Journal: a.journal, Local: a.store, Heads: a.heads, Stored: a.deps.Meta, Snapshots: a.tier, Clock: a.millis}
	kvs, _, err := a.deps.Meta.List(ctx, metadata.PrefixHeads)
	if err != nil {
		return err
	}
	heads := make(map[id.Partition]metadata.KV, len(kvs))
	for _, kv := range kvs {
		p, err := metadata.ParseHeadKey(kv.Key)
		if err != nil {
			a.log.Error("metadata entry ignored", "key", kv.Key, "err", err)
			continue
		}
		heads[p] = kv
	}
	var all []*candidate
	for _, t := range a.view.Topics() {
		for i := range t.Partitions {
			p := id.Partition{Topic: t.ID, Index: i}
			c, err := a.candidate(t, p, heads[p])
			if err != nil {
				a.log.Error("partition not taken", "topic", t.Name, "partition", i, "err", err)
			} else if c != nil {
				all = append(all, c)
			}
		}
	}
	return a.take(ctx, append(all, a.unfinished(heads)...))
}

// unfinished are partitions of deleted topics of which this disk may hold more
// than the tier: they are taken once more, to be uploaded and closed (retire).
func (a *Agent) unfinished(heads map[id.Partition]metadata.KV) (all []*candidate) {
	for t, d := range a.view.Deleted() {
		for i := range d.Topic.Partitions {
			p := id.Partition{Topic: t, Index: i}
			c, err := a.candidate(&cluster.Topic{Name: d.Name, Topic: d.Topic}, p, heads[p])
			if err != nil || c == nil {
				continue
			}
			for _, l := range c.head.Chain {
				if _, here := a.store.Sealed(id.Journal{Writer: l.Writer, Seq: 1}); here {
					all = append(all, c)
					break
				}
			}
		}
	}
	return all
}

func (a *Agent) millis() int64 { return a.deps.Now().UnixMilli() }

// candidate says whether a partition is to be taken: nil if it has a live owner.
func (a *Agent) candidate(t *cluster.Topic, p id.Partition, kv metadata.KV) (*candidate, error) {
	c := &candidate{topic: t, head: new(metadata.Head)}
	if kv.Mod != 0 {
		var err error
		if c.head, err = metadata.DecodeHead(kv.Value); err != nil {
			return nil, err
		}
		c.rev = kv.Mod
		if o, alive := a.view.Owner(p); alive && o.Incarnation == c.head.Owner && o.Incarnation != a.inc {
			return nil, nil
		}
	}
	c.p = partition.New(p, a.parts, c.head, c.rev, a.view.PartitionSettings(t, a.self.String()))
	return c, nil
}

// take adopts the tails, then stores the new heads, many at a time.
func (a *Agent) take(ctx context.Context, all []*candidate) error {
	if len(all) == 0 {
		return nil
	}
	if err := a.adopt(all); err != nil {
		return err
	}
	known, err := a.knownJournals(ctx)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, 1024)
	for _, c := range all {
		if why := a.incomplete(c, known); why != nil {
			a.log.Error("partition unavailable", "topic", c.topic.Name, "partition", c.p.ID().Index, "err", why)
			continue
		}
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			if err := a.takeOne(ctx, c); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return failed
}

func (a *Agent) takeOne(ctx context.Context, c *candidate) error {
	head := c.p.Take(a.inc, a.self)
	key := metadata.HeadKey(c.p.ID())
	rev, err := a.heads.Write(ctx, []metadata.Guard{{Key: key, Mod: c.rev}}, metadata.Put(key, head.Encode()))
	if errors.Is(err, metadata.ErrConflict) {
		return nil // somebody else was quicker
	}
	if err != nil {
		return fmt.Errorf("take %s/%d: %w", c.topic.Name, c.p.ID().Index, err)
	}
	c.p.Serve(head, rev)
	a.owned.put(c.p)
	return nil
}

// adopt reads the directories of the sealed journals of this store once, and
// hands each batch to its partition.
func (a *Agent) adopt(all []*candidate) error {
	by := make(map[id.Partition]*candidate, len(all))
	for _, c := range all {
		if len(c.head.Chain) > 0 {
			by[c.p.ID()] = c
		}
	}
	if len(by) == 0 {
		return nil
	}
	for _, j := range a.store.Journals() {
		if j == a.journal.ID() {
			continue
		}
		if _, sealed := a.store.Sealed(j); !sealed {
			continue
		}
		err := a.store.Entries(j, func(e *wal.Entry) error {
			for i := range e.Records {
				r := &e.Records[i]
				c := by[r.Partition]
				if c == nil || !c.head.Written(j.Writer, r.Base) {
					continue
				}
				if err := c.p.Adopt(j, r, e.Place(r)); err != nil {
					c.why = err // that one is unavailable, the others are not
					delete(by, r.Partition)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("adopt journal %v: %w", j, err)
		}
	}
	return nil
}

// knownJournals are those that hold something which may not be in the tier: etcd
// forgets a journal once the tier has all of it.
func (a *Agent) knownJournals(ctx context.Context) (map[id.Journal]bool, error) {
	kvs, _, err := a.deps.Meta.List(ctx, metadata.PrefixJournals)
	if err != nil {
		return nil, err
	}
	known := map[id.Journal]bool{}
	for _, kv := range kvs {
		j, err := metadata.ParseJournalKey(kv.Key)
		if err != nil {
			return nil, err
		}
		rec, err := metadata.DecodeJournal(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("journal %v: %w", j, err)
		}
		known[j] = rec.State != metadata.JournalSealed || rec.End > 0
	}
	return known, nil
}

// incomplete says why a partition can't be served: a journal of its chain holds,
// or may hold, records that are nowhere else, and is not on this disk. Unless the
// operator accepts the loss.
func (a *Agent) incomplete(c *candidate, known map[id.Journal]bool) error {
	if c.why != nil {
		return c.why
	}
	for _, l := range c.head.Chain {
		j := id.Journal{Writer: l.Writer, Seq: 1}
		if _, here := a.store.Sealed(j); here || !known[j] || l.Writer == a.inc {
			continue // one's own journal: the partition was retired, all of it uploaded
		}
		if a.cfg.AcceptLoss {
			a.log.Warn("accepting the loss of what a journal held", "journal", j, "topic", c.topic.Name, "partition", c.p.ID().Index, "from_offset", max(l.Start, c.head.TieredEnd))
			continue
		}
		return fmt.Errorf("its newest records may lie in journal %v, which is not on this disk; bring that disk back, or set accept_loss to give up what was not uploaded", j)
	}
	return nil
}

// follow takes what is new and drops what was deleted, until ctx ends.
func (a *Agent) follow(ctx context.Context) {
	for {
		changed := a.view.Changed()
		a.holdSlots(ctx)
		a.reconcile(ctx)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) reconcile(ctx context.Context) {
	var fresh []*candidate
	for _, t := range a.view.Topics() {
		settings := a.view.PartitionSettings(t, a.self.String())
		for i := range t.Partitions {
			id := id.Partition{Topic: t.ID, Index: i}
			if p := a.owned.Get(id); p != nil {
				if *p.Settings() != *settings {
					p.Configure(settings)
				}
				continue
			}
			kv, claim := a.claim(ctx, id)
			if !claim {
				continue
			}
			if c, err := a.candidate(t, id, kv); err == nil && c != nil {
				fresh = append(fresh, c)
			}
		}
	}
	if err := a.take(ctx, fresh); err != nil && ctx.Err() == nil {
		a.log.Warn("new partitions not taken yet", "err", err)
	}
	for _, p := range a.owned.all() {
		if _, ok := a.view.TopicByID(p.ID().Topic); !ok {
			a.retire(ctx, p)
		}
	}
}

// claim says whether a partition that is not served here may be taken: nobody owns
// it, or this very agent did, before its topic was deleted and brought back. kv is
// its head, if it has one.
func (a *Agent) claim(ctx context.Context, p id.Partition) (kv metadata.KV, ok bool) {
	o, _ := a.view.Owner(p)
	switch o.Incarnation {
	case 0:
		return kv, true
	case a.inc:
		kv, err := a.deps.Meta.Get(ctx, metadata.HeadKey(p))
		return kv, err == nil
	}
	return kv, false // its owner lives, or the next start decides
}

// retire ends a partition whose topic was deleted, once all of it is in the tier,
// so that the topic can be brought back whole.
func (a *Agent) retire(ctx context.Context, p *partition.Partition) {
	if !a.owned.retire(p.ID()) {
		return // under way
	}
	a.run(func() {
		for a.tier.upload.Flush(ctx, p.ID()) != nil {
			if ctx.Err() != nil {
				return
			}
		}
		a.owned.remove(p.ID())
		p.Close()
		a.view.Touch()
	})
}
