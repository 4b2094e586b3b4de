package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"varve/admin"
	"varve/cluster"
	"varve/health"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/owner"
	"varve/partition"
	"varve/tiering/object"
)

// holesAgain is how often known holes are looked at again.
const holesAgain = 10 * time.Second

// holes are the records of partitions here that can't be read, since their objects are gone
// or damaged.
type holes struct {
	*process
	names names
	set   *owner.Set
	tier  *tier
}

// hole describes what a read met.
func (n names) hole(e *object.HoleError, since time.Time) health.Hole {
	return health.Hole{Topic: n.topicOrID(e.Partition.Topic), Partition: e.Partition.Index, From: e.From, To: e.To, Object: e.Key, Why: e.Err.Error(), Since: since}
}

// watch notices when records can be read again that could not be, until ctx ends.
func (h *holes) watch(ctx context.Context) {
	tick := time.NewTicker(holesAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, e := range h.tier.Recheck(ctx, h.canRead) {
			h.log.Info("records that could not be read can be read again, or are wanted no more", "topic", h.names.topic(e.Partition.Topic), "partition", e.Partition.Index, "from", e.From, "to", e.To, "object", e.Key)
		}
	}
}

// canRead tries to read a partition at an offset.
func (h *holes) canRead(ctx context.Context, p id.Partition, offset int64) error {
	owned := h.set.Get(p)
	if owned == nil {
		return partition.ErrNotOwner
	}
	head := owned.Head()
	d, err := h.tier.Read(ctx, head, p, max(offset, head.LogStart), 1)
	d.Release()
	return err
}

// look goes through partitions, and tells how far it is from time to time.
func (h *holes) look(ctx context.Context, heads map[id.Partition]*schema.Head, total int64, report func(health.Hole) error, tell func(*admin.TierLook) error) error {
	var looked atomic.Int64
	looker := h.tier.NewLooker()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for p, head := range heads {
		var mu sync.Mutex
		var found []*object.HoleError
		done := make(chan error, 1)
		go func() {
			done <- looker.Look(ctx, head, p, func(n int64) { looked.Add(n) }, func(e *object.HoleError) {
				mu.Lock()
				found = append(found, e)
				mu.Unlock()
			})
		}()
		err := awaitLook(done, tick.C, func() error { return tell(&admin.TierLook{Looked: looked.Load(), Total: total}) })
		if err != nil {
			cancel()
			return fmt.Errorf("look at partition %s: %w", h.names.partition(p), err)
		}
		if len(found) > 0 && !h.sameHead(ctx, p, head) {
			continue // what it named may have been deleted since; another look tells
		}
		for _, e := range found {
			if err := report(h.names.hole(e, time.Time{})); err != nil {
				return err
			}
		}
	}
	return tell(&admin.TierLook{Looked: looked.Load(), Total: total, Done: true})
}

// awaitLook returns what a look came to, and meanwhile logs from time to time how far it is.
func awaitLook(done <-chan error, tick <-chan time.Time, say func() error) error {
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

// headsOf reads topics' heads, and counts their slices.
func (h *holes) headsOf(ctx context.Context, topics []string) (map[id.Partition]*schema.Head, int64, error) {
	prefixes := []string{schema.PrefixHeads}
	if len(topics) > 0 {
		prefixes = nil
	}
	for _, name := range topics {
		t, ok := h.names.view.Topic(name)
		if !ok {
			return nil, 0, fmt.Errorf("topic %q: %w", name, cluster.ErrUnknownTopic)
		}
		prefixes = append(prefixes, schema.TopicHeads(t.ID))
	}
	heads, total := map[id.Partition]*schema.Head{}, int64(0)
	for _, prefix := range prefixes {
		kvs, _, err := h.deps.Meta.List(ctx, prefix)
		if err != nil {
			return nil, 0, err
		}
		for _, kv := range kvs {
			p, bad := schema.ParseHeadKey(kv.Key)
			head, err := schema.DecodeHead(kv.Value)
			if err = errors.Join(bad, err); err != nil {
				return nil, 0, fmt.Errorf("%s: %w", kv.Key, err)
			}
			if _, exists := h.names.view.TopicByID(p.Topic); exists {
				heads[p] = head
				total += head.Manifest.Slices + int64(len(head.Slices))
			}
		}
	}
	return heads, total, nil
}

// sameHead reports whether a head still begins where it did, and names the same pages.
func (h *holes) sameHead(ctx context.Context, p id.Partition, head *schema.Head) bool {
	kv, err := h.deps.Meta.Get(ctx, schema.HeadKey(p))
	if err != nil {
		return false
	}
	now, err := schema.DecodeHead(kv.Value)
	return err == nil && now.LogStart == head.LogStart && now.Manifest.Root == head.Manifest.Root
}
