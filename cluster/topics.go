package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
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

// CheckAddPartitions reports whether a topic can be raised to total partitions.
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

// Topic is a topic as of one moment. It must not be changed.
type Topic struct {
	Name string
	schema.Topic
	Mod metadata.Revision
}

// Topic looks a topic up by name.
func (v *View) Topic(name string) (*Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.mu.topics.rows[name]
	return t, ok
}

// TopicByID looks a topic up by id.
func (v *View) TopicByID(t id.Topic) (*Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n, ok := v.mu.byID[t]
	return n, ok
}

// Topics lists all topics in order of names.
func (v *View) Topics() []*Topic {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.SortedFunc(maps.Values(v.mu.topics.rows), func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
}

// Deleted lists the topics whose data is still kept.
func (v *View) Deleted() map[id.Topic]schema.DeletedTopic {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.deleted.copied()
}

// IsTopic reports whether the topic of that name is this one. That it is not is said only
// as the store has it: the view may lag.
func (v *View) IsTopic(ctx context.Context, name string, t id.Topic) (bool, error) {
	if known, ok := v.Topic(name); ok && known.ID == t {
		return true, nil
	}
	kv, err := v.store.Get(ctx, schema.TopicKey(name))
	if errors.Is(err, metadata.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read topic %s: %w", name, err)
	}
	now, err := schema.DecodeTopic(kv.Value)
	return now.ID == t, err
}

func decodeTopic(name string, kv metadata.KV) (*Topic, error) {
	t, err := schema.DecodeTopic(kv.Value)
	return &Topic{name, t, kv.Mod}, err
}

// topicsByID is the topics of a table by id. The view's lock guards it.
type topicsByID map[id.Topic]*Topic

// changed takes a change of a topic.
func (by topicsByID) changed(_ string, before, now **Topic) {
	if before != nil {
		delete(by, (*before).ID)
	}
	if now != nil {
		by[(*now).ID] = *now
	}
}

// free refuses a name that a topic has, or one that metrics could not tell from it.
func (v *View) free(name string) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.mu.topics.rows[name] != nil {
		return Refuse(ErrTopicExists, "Topic '%s' already exists.", name)
	}
	if strings.ContainsAny(name, "._") {
		for other := range v.mu.topics.rows {
			if collides(other) == collides(name) {
				return Refuse(ErrTopicName, "Topic '%s' collides with existing topic: %s", name, other)
			}
		}
	}
	return nil
}
