package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// CheckCreate reports whether a topic could be created so, without creating it.
func (e *Editor) CheckCreate(name string, partitions int32, config schema.Settings) error {
	if err := CheckTopicName(name); err != nil {
		return err
	}
	if IsInternal(name) {
		return Refuse(ErrInternalTopic, "Creation of internal topic %s is prohibited.", name)
	}
	if partitions < 1 || partitions > MaxPartitions {
		return Refuse(ErrPartitions, "Number of partitions is %d, 1 to %d are allowed.", partitions, MaxPartitions)
	}
	if err := CheckTopicConfig(config); err != nil {
		return err
	}
	return e.view.free(name)
}

// CreateTopic makes a topic and waits until the view shows it.
func (e *Editor) CreateTopic(ctx context.Context, name string, partitions int32, config schema.Settings) (*Topic, error) {
	if err := e.CheckCreate(name, partitions, config); err != nil {
		return nil, err
	}
	t := schema.Topic{ID: id.NewTopic(e.random), Partitions: partitions, Created: time.Now(), Config: config}
	key := schema.TopicKey(name)
	rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key}}, metadata.Put(key, t.Encode()))
	if errors.Is(err, metadata.ErrConflict) {
		return nil, Refuse(ErrTopicExists, "Topic '%s' already exists.", name)
	}
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	return &Topic{name, t, rev}, e.view.Await(ctx, schema.PrefixTopics, rev)
}

// DeleteTopic removes a topic; its data stays in the tier for the undelete
// window.
func (e *Editor) DeleteTopic(ctx context.Context, name string) error {
	return e.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		d := schema.DeletedTopic{Name: name, Deleted: time.Now(), Topic: t.Topic}
		return []metadata.Op{metadata.Delete(schema.TopicKey(name)), metadata.Put(schema.DeletedKey(t.ID), d.Encode())}, nil
	})
}

// Undelete brings back the topic of that name which was deleted last, no longer
// than window ago, with its id and its records.
func (e *Editor) Undelete(ctx context.Context, name string, window time.Duration) (*Topic, error) {
	var found id.Topic
	var newest time.Time
	for t, d := range e.view.Deleted() {
		if d.Name == name && d.Deleted.After(newest) {
			found, newest = t, d.Deleted
		}
	}
	if newest.IsZero() || time.Since(newest) >= window {
		if _, ok := e.view.Topic(name); ok {
			return nil, Refuse(ErrTopicExists, "topic '%s' is there, and none of that name was deleted within the last %v", name, window)
		}
		return nil, Refuse(ErrUnknownTopic, "no topic '%s' was deleted within the last %v", name, window)
	}
	gone := schema.DeletedKey(found)
	kv, err := e.store.Get(ctx, gone)
	if errors.Is(err, metadata.ErrNotFound) {
		switch back, err := e.view.IsTopic(ctx, name, found); {
		case err != nil:
			return nil, err
		case back:
			return nil, Refuse(ErrTopicExists, "topic '%s' is back already", name)
		}
		return nil, Refuse(ErrUnknownTopic, "topic '%s' can't be brought back any more", name)
	}
	if err != nil {
		return nil, fmt.Errorf("undelete topic %s: %w", name, err)
	}
	d, err := schema.DecodeDeletedTopic(kv.Value)
	if err != nil {
		return nil, err
	}
	if d.Purged {
		return nil, Refuse(ErrUnknownTopic, "topic '%s' can't be brought back any more: its data is being removed", name)
	}
	key := schema.TopicKey(name)
	ops := []metadata.Op{metadata.Put(key, d.Topic.Encode()), metadata.Delete(gone)}
	rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key}, {Key: gone, Mod: kv.Mod}}, ops...)
	if errors.Is(err, metadata.ErrConflict) {
		return nil, Refuse(ErrTopicExists, "a topic '%s' exists by now", name)
	}
	if err != nil {
		return nil, fmt.Errorf("undelete topic %s: %w", name, err)
	}
	return &Topic{name, d.Topic, rev}, e.awaitOps(ctx, ops, rev)
}

// awaitOps waits until the view has what a transaction at rev changed of topics: each
// prefix comes by a watch of its own.
func (e *Editor) awaitOps(ctx context.Context, ops []metadata.Op, rev metadata.Revision) error {
	for _, op := range ops {
		for _, prefix := range []string{schema.PrefixTopics, schema.PrefixDeleted} {
			if !strings.HasPrefix(op.Key, prefix) {
				continue
			}
			if err := e.view.Await(ctx, prefix, rev); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddPartitions raises a topic's number of partitions to total.
func (e *Editor) AddPartitions(ctx context.Context, name string, total int32) error {
	return e.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		if err := CheckAddPartitions(t, total); err != nil {
			return nil, err
		}
		n := t.Topic
		n.Partitions = total
		return []metadata.Op{metadata.Put(schema.TopicKey(name), n.Encode())}, nil
	})
}

// AlterTopic changes a topic's settings; the result is checked before it is
// stored.
func (e *Editor) AlterTopic(ctx context.Context, name string, change func(schema.Settings) error) error {
	return e.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		n := t.Topic
		n.Config = maps.Clone(n.Config)
		if n.Config == nil {
			n.Config = schema.Settings{}
		}
		if err := change(n.Config); err != nil {
			return nil, err
		}
		if err := CheckTopicConfig(n.Config); err != nil {
			return nil, err
		}
		return []metadata.Op{metadata.Put(schema.TopicKey(name), n.Encode())}, nil
	})
}

// changeTopic applies a guarded change to the newest state of a topic, again if
// someone else was quicker, and waits until the view shows it.
func (e *Editor) changeTopic(ctx context.Context, name string, change func(*Topic) ([]metadata.Op, error)) error {
	key := schema.TopicKey(name)
	for {
		kv, err := e.store.Get(ctx, key)
		if errors.Is(err, metadata.ErrNotFound) {
			return Refuse(ErrUnknownTopic, "Topic %s does not exist.", name)
		}
		if err != nil {
			return fmt.Errorf("read topic %s: %w", name, err)
		}
		t, err := schema.DecodeTopic(kv.Value)
		if err != nil {
			return err
		}
		ops, err := change(&Topic{name, t, kv.Mod})
		if err != nil {
			return err
		}
		rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, ops...)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change topic %s: %w", name, err)
		}
		return e.awaitOps(ctx, ops, rev)
	}
}
