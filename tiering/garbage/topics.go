package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// purge removes the heads of topics whose undelete window is over. From then on
// their objects are garbage.
func (c *Collector) purge(ctx context.Context, pr *proof) error {
	for topic, d := range pr.deleted {
		if !d.over {
			continue
		}
		mod, err := c.purgeTopic(ctx, topic, d)
		if err != nil && !errors.Is(err, metadata.ErrConflict) {
			return fmt.Errorf("purge topic %q: %w", d.Name, err)
		}
		d.mod = mod
		pr.deleted[topic] = d
	}
	return nil
}

// purgeTopic deletes a topic's heads, guarded by the record of its deletion, which shows
// so before the first goes: if the topic is had back at the same time, one of both
// fails, and it is never had back in part. mod is the record's revision then.
func (c *Collector) purgeTopic(ctx context.Context, topic id.Topic, d deletedTopic) (mod metadata.Revision, err error) {
	keys, err := c.headKeys(ctx, topic)
	if err != nil || len(keys) == 0 {
		return d.mod, err
	}
	guard := metadata.Guard{Key: schema.DeletedKey(topic), Mod: d.mod}
	if !d.Purged {
		d.Purged = true
		rev, err := c.deps.Meta.Txn(ctx, []metadata.Guard{guard}, metadata.Put(guard.Key, d.Encode()))
		if err != nil {
			return d.mod, err
		}
		guard.Mod = rev
	}
	for some := range slices.Chunk(keys, metadata.MaxTxnOps) {
		ops := make([]metadata.Op, len(some))
		for i := range ops {
			ops[i] = metadata.Delete(some[i])
		}
		if _, err := c.deps.Meta.Txn(ctx, []metadata.Guard{guard}, ops...); err != nil {
			return guard.Mod, err
		}
	}
	c.deps.Log.Info("heads of a deleted topic removed; its objects follow", "topic", topic)
	return guard.Mod, nil
}

// headKeys lists the keys of a topic's heads. The ownerships are the last: without them a
// partition counts as new. They are read first: an owner whose key is gone writes no head any more.
func (c *Collector) headKeys(ctx context.Context, topic id.Topic) (keys []string, err error) {
	owners, _, err := c.deps.Meta.List(ctx, schema.TopicOwners(topic))
	if err != nil {
		return nil, err
	}
	heads, _, err := c.deps.Meta.List(ctx, schema.TopicHeads(topic))
	if err != nil {
		return nil, err
	}
	for _, kv := range slices.Concat(heads, owners) {
		keys = append(keys, kv.Key)
	}
	return keys, nil
}

// headless lists the deleted topics that have no heads any more.
func (c *Collector) headless(ctx context.Context, pr *proof) (map[id.Topic]bool, error) {
	found := map[id.Topic]bool{}
	for topic, d := range pr.deleted {
		if !d.over {
			continue
		}
		keys, err := c.headKeys(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("heads of deleted topic %q: %w", d.Name, err)
		}
		if len(keys) == 0 {
			found[topic] = true
		}
	}
	return found, nil
}

// endCycle forgets the deleted topics of which a whole cycle, that began when
// they had no heads any more, found nothing that stays. Without their records what is
// left of them would stay for ever.
func (c *Collector) endCycle(ctx context.Context, pr *proof) error {
	if c.sweep.doubtful {
		return nil
	}
	for topic := range c.sweep.began {
		d, known := pr.deleted[topic]
		if !known || c.sweep.seen[topic] {
			continue
		}
		key := schema.DeletedKey(topic)
		_, err := c.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: d.mod}}, metadata.Delete(key))
		if err != nil && !errors.Is(err, metadata.ErrConflict) {
			return fmt.Errorf("forget deleted topic %q: %w", d.Name, err)
		}
		if err == nil {
			c.deps.Log.Info("the objects of a deleted topic were deleted", "topic", d.Name, "id", topic)
		}
	}
	return nil
}
