package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"varve/admin"
	"varve/cluster"
	"varve/health"
	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
	"varve/tiering/object"
	"varve/tiering/read"
)

// holesAgain is how often known holes are looked at again.
const holesAgain = 10 * time.Second

// watchHoles notices when records can be read again that could not be, until ctx ends.
func (a *Agent) watchHoles(ctx context.Context) {
	tick := time.NewTicker(holesAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, e := range a.tier.Recheck(ctx, a.canRead) {
			a.log.Info("records that could not be read can be read again, or are wanted no more", "topic", a.topicName(e.Partition.Topic), "partition", e.Partition.Index, "from", e.From, "to", e.To, "object", e.Key)
		}
	}
}

// canRead tries to read a partition at an offset.
func (a *Agent) canRead(ctx context.Context, p id.Partition, offset int64) error {
	owned := a.owned.Get(p)
	if owned == nil {
		return partition.ErrNotOwner
	}
	h := owned.Head()
	d, err := a.tier.Read(ctx, h, p, max(offset, h.LogStart), 1)
	d.Release()
	return err
}

func (a *Agent) holeOf(e *object.HoleError, since time.Time) health.Hole {
	return health.Hole{Topic: a.partitionTopic(e.Partition), Partition: e.Partition.Index, From: e.From, To: e.To, Object: e.Key, Why: e.Err.Error(), Since: since}
}

// partitionTopic is the topic's name, or its id.
func (a *Agent) partitionTopic(p id.Partition) string {
	return cmp.Or(a.topicName(p.Topic), p.Topic.String())
}

// TierHoles asks the bucket for every object that the topics' heads and manifests name, and
// tells how far it is and what it finds; all topics if none is named. What readers of any
// agent met comes first: it may be damage that no such question shows.
func (a *Agent) TierHoles(ctx context.Context, topics []string, tell func(*admin.TierLook) error) error {
	heads, total, err := a.headsToLookAt(ctx, topics)
	if err != nil {
		return err
	}
	known := map[health.Hole]bool{}
	report := func(h health.Hole) error {
		key := health.Hole{Topic: h.Topic, Partition: h.Partition, From: h.From, To: h.To, Object: h.Object}
		if known[key] {
			return nil
		}
		known[key] = true
		return tell(&admin.TierLook{Hole: &h})
	}
	for _, agent := range a.Health(ctx).Agents {
		if agent.Report == nil {
			continue
		}
		for _, h := range agent.Report.Holes {
			if len(topics) == 0 || slices.Contains(topics, h.Topic) {
				if err := report(h); err != nil {
					return err
				}
			}
		}
	}
	return a.lookAt(ctx, heads, total, report, tell)
}

// lookAt goes through partitions, and tells how far it is from time to time.
func (a *Agent) lookAt(ctx context.Context, heads map[id.Partition]*metadata.Head, total int64, report func(health.Hole) error, tell func(*admin.TierLook) error) error {
	var looked atomic.Int64
	looker := a.tier.NewLooker()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for p, h := range heads {
		var mu sync.Mutex
		var found []*object.HoleError
		done := make(chan error, 1)
		go func() {
			done <- looker.Look(ctx, h, p, func(n int64) { looked.Add(n) }, func(e *object.HoleError) {
				mu.Lock()
				found = append(found, e)
				mu.Unlock()
			})
		}()
		err := a.awaitLook(done, tick.C, func() error { return tell(&admin.TierLook{Looked: looked.Load(), Total: total}) })
		if err != nil {
			cancel()
			return fmt.Errorf("look at partition %s: %w", a.partitionName(p), err)
		}
		if len(found) > 0 && !a.sameHead(ctx, p, h) {
			continue // what it named may have been deleted since; another look tells
		}
		for _, e := range found {
			if err := report(a.holeOf(e, time.Time{})); err != nil {
				return err
			}
		}
	}
	return tell(&admin.TierLook{Looked: looked.Load(), Total: total, Done: true})
}

// awaitLook returns what a look came to, and meanwhile says from time to time how far it is.
func (a *Agent) awaitLook(done <-chan error, tick <-chan time.Time, say func() error) error {
	for {
		select {
		case err := <-done:
			return err
		case <-tick:
			if err := say(); err != nil {
				return err
			}
		}
	}
}

// headsToLookAt reads topics' heads, and counts their slices.
func (a *Agent) headsToLookAt(ctx context.Context, topics []string) (map[id.Partition]*metadata.Head, int64, error) {
	prefixes := []string{metadata.PrefixHeads}
	if len(topics) > 0 {
		prefixes = nil
	}
	for _, name := range topics {
		t, ok := a.view.Topic(name)
		if !ok {
			return nil, 0, fmt.Errorf("topic %q: %w", name, cluster.ErrUnknownTopic)
		}
		prefixes = append(prefixes, metadata.TopicHeads(t.ID))
	}
	heads, total := map[id.Partition]*metadata.Head{}, int64(0)
	for _, prefix := range prefixes {
		kvs, _, err := a.deps.Meta.List(ctx, prefix)
		if err != nil {
			return nil, 0, err
		}
		for _, kv := range kvs {
			p, bad := metadata.ParseHeadKey(kv.Key)
			h, err := metadata.DecodeHead(kv.Value)
			if err = errors.Join(bad, err); err != nil {
				return nil, 0, fmt.Errorf("%s: %w", kv.Key, err)
			}
			if _, exists := a.view.TopicByID(p.Topic); exists {
				heads[p] = h
				total += h.Manifest.Slices + int64(len(h.Slices))
			}
		}
	}
	return heads, total, nil
}

// sameHead reports whether a head still begins where it did, and names the same pages.
func (a *Agent) sameHead(ctx context.Context, p id.Partition, h *metadata.Head) bool {
	kv, err := a.deps.Meta.Get(ctx, metadata.HeadKey(p))
	if err != nil {
		return false
	}
	now, err := metadata.DecodeHead(kv.Value)
	return err == nil && now.LogStart == h.LogStart && now.Manifest.Root == h.Manifest.Root
}

// TierSkip gives up records that can't be read: consumers pass over them from then on. Only
// the partition's owner can do it.
func (a *Agent) TierSkip(ctx context.Context, topic string, index int32, from, to int64) (*admin.Skipped, error) {
	p, err := a.partitionOf(topic, index)
	if err != nil {
		return nil, err
	}
	owned := a.owned.Get(p)
	if owned == nil {
		return nil, a.elsewhere(p, topic)
	}
	gone, err := a.tier.skip.Skip(ctx, owned, from, to)
	if errors.Is(err, read.ErrReadable) {
		return nil, &admin.RefusedError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	out := &admin.Skipped{Topic: topic, Partition: index, Ranges: []health.Hole{}}
	for i := range gone {
		e := &gone[i]
		out.Ranges = append(out.Ranges, a.holeOf(e, time.Time{}))
		a.log.Warn("records were given up as an operator decided; consumers pass over their offsets", "topic", topic, "partition", index, "from", e.From, "to", e.To, "object", e.Key, "client", admin.Client(ctx), "err", e.Err)
	}
	a.tier.Recheck(ctx, a.canRead)
	return out, nil
}

// elsewhere reports which agent is to be asked about a partition.
func (a *Agent) elsewhere(p id.Partition, topic string) error {
	if o, ok := a.view.Owner(p); ok && o.Broker != a.self {
		if l, live := a.view.Agent(o.Broker); live && l.HTTP != "" {
			return &admin.ElsewhereError{Base: (&url.URL{Scheme: "http", Host: l.HTTP}).String(), What: fmt.Sprintf("partition %s/%d", topic, p.Index), Agent: int32(o.Broker)}
		}
	}
	return fmt.Errorf("partition %s/%d has no leader now: try again", topic, p.Index)
}
