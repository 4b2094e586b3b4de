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
)

// Errors that callers map to Kafka's codes.
var (
	ErrTopicExists   = errors.New("topic already exists")
	ErrUnknownTopic  = errors.New("topic does not exist")
	ErrTopicName     = errors.New("topic name is invalid")
	ErrInternalTopic = errors.New("topic name is reserved")
	ErrPartitions    = errors.New("partition count is invalid")
	ErrUnknownConfig = errors.New("setting is unknown")
	ErrConfigValue   = errors.New("setting has an invalid value")
)

// MaxTopicName is the longest name a topic may have; MaxPartitions how many
// partitions one topic may have at most.
const (
	MaxTopicName  = 249
	MaxPartitions = 100_000
)

// CheckTopicName applies Kafka's rules for names.
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return Refuse(ErrTopicName, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return Refuse(ErrTopicName, "Topic name is invalid: %q is not allowed", name)
	case len(name) > MaxTopicName:
		return Refuse(ErrTopicName, "Topic name is invalid: it has %d characters, at most %d are allowed", len(name), MaxTopicName)
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return Refuse(ErrTopicName, "Topic name is invalid: %q has characters other than ASCII letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

// IsInternal reports whether Kafka keeps a topic of that name for itself. Varve has no such
// topics; a topic that a user made under such a name would mislead tools that read offsets
// or transactions there.
func IsInternal(name string) bool {
	switch name {
	case "__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata":
		return true
	}
	return false
}

// collides is what two names share if metrics could not tell them apart.
func collides(name string) string { return strings.ReplaceAll(name, ".", "_") }

// CheckCreate says whether a topic could be created so, without creating it.
func (v *View) CheckCreate(name string, partitions int32, config metadata.Settings) error {
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
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.mu.topics[name] != nil {
		return Refuse(ErrTopicExists, "Topic '%s' already exists.", name)
	}
	if strings.ContainsAny(name, "._") {
		for other := range v.mu.topics {
			if collides(other) == collides(name) {
				return Refuse(ErrTopicName, "Topic '%s' collides with existing topic: %s", name, other)
			}
		}
	}
	return nil
}

// CreateTopic makes a topic and waits until the view shows it.
func (v *View) CreateTopic(ctx context.Context, name string, partitions int32, config metadata.Settings) (*Topic, error) {
	if err := v.CheckCreate(name, partitions, config); err != nil {
		return nil, err
	}
	t := metadata.Topic{ID: id.NewTopic(v.random), Partitions: partitions, Created: time.Now(), Config: config}
	key := metadata.TopicKey(name)
	rev, err := v.store.Txn(ctx, []metadata.Guard{{Key: key}}, metadata.Put(key, t.Encode()))
	if errors.Is(err, metadata.ErrConflict) {
		return nil, Refuse(ErrTopicExists, "Topic '%s' already exists.", name)
	}
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	return &Topic{name, t, rev}, v.Await(ctx, metadata.PrefixTopics, rev)
}

// DeleteTopic removes a topic; its data stays in the tier for the undelete
// window.
func (v *View) DeleteTopic(ctx context.Context, name string) error {
	return v.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		d := metadata.DeletedTopic{Name: name, Deleted: time.Now(), Topic: t.Topic}
		return []metadata.Op{metadata.Delete(metadata.TopicKey(name)), metadata.Put(metadata.DeletedKey(t.ID), d.Encode())}, nil
	})
}

// IsTopic says whether the topic of that name is this one. That it is not is said only
// as the store has it: the view may lag.
func (v *View) IsTopic(ctx context.Context, name string, t id.Topic) (bool, error) {
	if known, ok := v.Topic(name); ok && known.ID == t {
		return true, nil
	}
	kv, err := v.store.Get(ctx, metadata.TopicKey(name))
	if errors.Is(err, metadata.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read topic %s: %w", name, err)
	}
	now, err := metadata.DecodeTopic(kv.Value)
	return now.ID == t, err
}

// Undelete brings back the topic of that name which was deleted last, no longer
// than window ago, with its id and its records.
func (v *View) Undelete(ctx context.Context, name string, window time.Duration) (*Topic, error) {
	var found id.Topic
	var newest time.Time
	for t, d := range v.Deleted() {
		if d.Name == name && d.Deleted.After(newest) {
			found, newest = t, d.Deleted
		}
	}
	if newest.IsZero() || time.Since(newest) >= window {
		if _, ok := v.Topic(name); ok {
			return nil, Refuse(ErrTopicExists, "topic '%s' is there, and none of that name was deleted within the last %v", name, window)
		}
		return nil, Refuse(ErrUnknownTopic, "no topic '%s' was deleted within the last %v", name, window)
	}
	gone := metadata.DeletedKey(found)
	kv, err := v.store.Get(ctx, gone)
	if errors.Is(err, metadata.ErrNotFound) {
		switch back, err := v.IsTopic(ctx, name, found); {
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
	d, err := metadata.DecodeDeletedTopic(kv.Value)
	if err != nil {
		return nil, err
	}
	if d.Purged {
		return nil, Refuse(ErrUnknownTopic, "topic '%s' can't be brought back any more: its data is being removed", name)
	}
	key := metadata.TopicKey(name)
	ops := []metadata.Op{metadata.Put(key, d.Topic.Encode()), metadata.Delete(gone)}
	rev, err := v.store.Txn(ctx, []metadata.Guard{{Key: key}, {Key: gone, Mod: kv.Mod}}, ops...)
	if errors.Is(err, metadata.ErrConflict) {
		return nil, Refuse(ErrTopicExists, "a topic '%s' exists by now", name)
	}
	if err != nil {
		return nil, fmt.Errorf("undelete topic %s: %w", name, err)
	}
	return &Topic{name, d.Topic, rev}, v.awaitOps(ctx, ops, rev)
}

// awaitOps waits until the view has what a transaction at rev changed of topics: each
// prefix comes by a watch of its own.
func (v *View) awaitOps(ctx context.Context, ops []metadata.Op, rev metadata.Revision) error {
	for _, op := range ops {
		for _, prefix := range []string{metadata.PrefixTopics, metadata.PrefixDeleted} {
			if !strings.HasPrefix(op.Key, prefix) {
				continue
			}
			if err := v.Await(ctx, prefix, rev); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddPartitions raises a topic's number of partitions to total.
func (v *View) AddPartitions(ctx context.Context, name string, total int32) error {
	return v.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		if err := CheckAddPartitions(t, total); err != nil {
			return nil, err
		}
		n := t.Topic
		n.Partitions = total
		return []metadata.Op{metadata.Put(metadata.TopicKey(name), n.Encode())}, nil
	})
}

// CheckAddPartitions says whether a topic can be raised to total partitions.
func CheckAddPartitions(t *Topic, total int32) error {
	switch {
	case total == t.Partitions:
		return Refuse(ErrPartitions, "Topic already has %d partition(s).", total)
	case total < t.Partitions:
		return Refuse(ErrPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", t.Name, t.Partitions, total)
	case total > MaxPartitions:
		return Refuse(ErrPartitions, "Number of partitions is %d, at most %d are allowed.", total, MaxPartitions)
	}
	return nil
}

// AlterTopic changes a topic's settings; the result is checked before it is
// stored.
func (v *View) AlterTopic(ctx context.Context, name string, change func(metadata.Settings) error) error {
	return v.changeTopic(ctx, name, func(t *Topic) ([]metadata.Op, error) {
		n := t.Topic
		n.Config = maps.Clone(n.Config)
		if n.Config == nil {
			n.Config = metadata.Settings{}
		}
		if err := change(n.Config); err != nil {
			return nil, err
		}
		if err := CheckTopicConfig(n.Config); err != nil {
			return nil, err
		}
		return []metadata.Op{metadata.Put(metadata.TopicKey(name), n.Encode())}, nil
	})
}

// changeTopic applies a guarded change to the newest state of a topic, again if
// somebody else was quicker, and waits until the view shows it.
func (v *View) changeTopic(ctx context.Context, name string, change func(*Topic) ([]metadata.Op, error)) error {
	key := metadata.TopicKey(name)
	for {
		kv, err := v.store.Get(ctx, key)
		if errors.Is(err, metadata.ErrNotFound) {
			return Refuse(ErrUnknownTopic, "Topic %s does not exist.", name)
		}
		if err != nil {
			return fmt.Errorf("read topic %s: %w", name, err)
		}
		t, err := metadata.DecodeTopic(kv.Value)
		if err != nil {
			return err
		}
		ops, err := change(&Topic{name, t, kv.Mod})
		if err != nil {
			return err
		}
		rev, err := v.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, ops...)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change topic %s: %w", name, err)
		}
		return v.awaitOps(ctx, ops, rev)
	}
}

// AlterBroker and AlterGroup change dynamic settings.
func (v *View) AlterBroker(ctx context.Context, broker string, change func(metadata.Settings) error) error {
	return v.changeSettings(ctx, metadata.BrokerConfigKey(broker), change)
}

// AlterGroup changes a group's dynamic settings.
func (v *View) AlterGroup(ctx context.Context, group string, change func(metadata.Settings) error) error {
	return v.changeSettings(ctx, metadata.GroupConfigKey(group), change)
}

func (v *View) changeSettings(ctx context.Context, key string, change func(metadata.Settings) error) error {
	for {
		kv, err := v.store.Get(ctx, key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return fmt.Errorf("read %s: %w", key, err)
		}
		s := metadata.Settings{}
		if err == nil {
			if s, err = metadata.DecodeSettings(kv.Value); err != nil {
				return err
			}
		}
		if err := change(s); err != nil {
			return err
		}
		op := metadata.Put(key, s.Encode())
		if len(s) == 0 {
			op = metadata.Delete(key)
		}
		rev, err := v.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, op)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change %s: %w", key, err)
		}
		if kv.Mod == 0 && op.Delete {
			return nil // nothing changed, nothing will be seen
		}
		return v.Await(ctx, metadata.PrefixConfigs, rev)
	}
}
