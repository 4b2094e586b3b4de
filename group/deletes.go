package group

import (
	"context"
	"errors"

	"varve/coordinator"
	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata/schema"
)

// DeleteOffsets forgets offsets of topics that the group doesn't read.
func (g *Groups) DeleteOffsets(ctx context.Context, group string, topics []offsets.TopicPartitions) DeleteOffsetsReply {
	if group == "" {
		return DeleteOffsetsReply{Err: ErrInvalidGroup}
	}
	r, err := coordinator.Ask[DeleteOffsetsReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { return DeleteOffsets{t, topics} })
	if err != nil {
		return DeleteOffsetsReply{Err: err}
	}
	return r
}

// Delete removes a group without members and its offsets.
func (g *Groups) Delete(ctx context.Context, group string) error {
	r, err := coordinator.Ask[DeleteReply](ctx, g.driver, group, func(t coordinator.Ticket) coordinator.Event { return Delete{t} })
	if err != nil {
		return err
	}
	return r.Err
}

// TopicsDeleted deletes the offsets that this agent's groups committed for deleted topics,
// given by id and name. Clients no longer see them.
func (g *Groups) TopicsDeleted(ctx context.Context, gone map[id.Topic]string) error {
	kvs, _, err := g.reader.List(ctx, schema.PrefixOffsets)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, name := range gone {
		names[name] = true
	}
	groups := map[string]bool{}
	for _, kv := range kvs {
		group, topic, _, err := schema.ParseOffsetsKey(kv.Key)
		if err != nil || !names[topic] || groups[group] || !g.driver.Owns(group) {
			continue
		}
		value, err := schema.DecodeOffsets(kv.Value)
		for _, o := range value {
			groups[group] = groups[group] || err == nil && gone[o.Topic] == topic
		}
	}
	for group, has := range groups {
		if !has {
			continue
		}
		if err := g.driver.Tell(ctx, group, TopicsDeleted{gone}); err != nil && !errors.Is(err, coordinator.ErrNotCoordinator) {
			return err
		}
	}
	return nil
}
