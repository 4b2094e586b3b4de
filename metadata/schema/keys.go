// Package schema is every key and value that Varve keeps in etcd: a file for each kind of
// record, with its versions. heads.go reads and writes the two keys that make a partition's head.
//
// It promises that what an earlier build wrote is read, that a value of a newer one is refused, and
// that no value, however damaged, costs more than its size. It never interprets what the
// cluster does with the values.
package schema

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"varve/internal/id"
)

// Every key that Varve keeps in etcd, below the cluster's prefix:
//
//	key                          value            written by          lives
//	cluster                      Cluster          the first agent     for ever
//	bucket                       Bucket           the first agent     for ever
//	incarnation                  uint64, decimal  a starting agent    for ever
//	garbage-held                 text             an agent            until an operator deletes it: nothing is deleted from the bucket as garbage
//	security                     Security         an agent            for ever
//	producers                    int64, decimal   any agent           for ever: the next unused producer id
//	agents/<broker>              Agent            that agent          while its session lives
//	levels/<broker>              Levels           that agent          while its session lives; agents without know level 3
//	turn                         text             varve cluster turn  while that command runs: who may restart an agent now
//	controller                   Role             an agent            while that agent's session lives
//	coordinators/<slot>          Role             the controller      for ever
//	journals/<writer>-<n>        Journal          writer, controller  until the tier has all of it
//	topics/<name>                Topic            any agent           until the topic is deleted
//	deleted/<topic id>           DeletedTopic     any agent           until its undelete window closes and its data is gone
//	owners/<topic id>/<partition> Ownership       the controller; the as long as the topic's data
//	                                              owner, when it gives
//	                                              the partition away
//	heads/<topic id>/<partition> Head             the owner           as long as the topic's data; from its first
//	                                                                  upload on, or its first change of owner
//	moves/<topic id>/<partition> Move             any agent: who is   until the owner has given the
//	                                              to own it           partition away, or it is dropped
//	drained/<broker>             Drain            any agent           until undrained: nothing is given to it
//	load/<broker>                Load             that agent          while its session lives
//	members/<broker>             Member           that agent          until it is forgotten (varve cluster forget)
//	configs/broker/<broker>      Settings         any agent           until deleted; <broker> empty: all brokers
//	configs/group/<group>        Settings         any agent           until deleted
//	configs/client-metrics/<name> Settings        any agent           until deleted
//	acls/<type>/<pattern>/<name>/<principal>/<host>/<operation>/<permission>
//	                             ACL              any agent           until deleted: the key is the binding
//	users/<name>                 User             any agent           until deleted
//	tokens/<id>                  Token            any agent           until deleted, or some time after it expired
//	quotas/user/<user>           Quotas           any agent           until deleted; a name that is empty: all users, clients or
//	quotas/client-id/<client>                                         addresses that have none of their own
//	quotas/user/<user>/client-id/<client>
//	quotas/ip/<address>
//	groups/<group>               Group            its coordinator     until deleted or expired
//	offsets/<group>/<topic>      Offsets          its coordinator     until deleted or expired: partitions 0 to 31
//	offsets/<group>/<topic>/<n>  Offsets          its coordinator     the same, of partitions 32n to 32n+31
//
// Names that users chose are escaped as in a URL path segment.

// Single keys.
const (
	KeyCluster     = "cluster"
	KeyBucket      = "bucket"
	KeyIncarnation = "incarnation"
	KeyProducers   = "producers"
	KeySecurity    = "security"
	KeyGarbageHeld = "garbage-held"
	KeyController  = "controller"
	KeyTurn        = "turn"
)

// Prefixes of the kinds of keys.
const (
	PrefixAgents   = "agents/"
	PrefixLevels   = "levels/"
	PrefixSlots    = "coordinators/"
	PrefixJournals = "journals/"
	PrefixTopics   = "topics/"
	PrefixDeleted  = "deleted/"
	PrefixOwners   = "owners/"
	PrefixHeads    = "heads/"
	PrefixMoves    = "moves/"
	PrefixDrained  = "drained/"
	PrefixLoads    = "load/"
	PrefixMembers  = "members/"
	PrefixConfigs  = "configs/"
	PrefixACLs     = "acls/"
	PrefixUsers    = "users/"
	PrefixTokens   = "tokens/"
	PrefixQuotas   = "quotas/"
	PrefixGroups   = "groups/"
	PrefixOffsets  = "offsets/"
)

// KeyError is a key that is not of the form its prefix demands.
type KeyError struct{ Key string }

func (e *KeyError) Error() string { return fmt.Sprintf("metadata key %q is malformed", e.Key) }

// AgentKey is the key of a live agent.
func AgentKey(b id.Broker) string { return PrefixAgents + b.String() }

// ParseAgentKey takes an AgentKey apart.
func ParseAgentKey(key string) (id.Broker, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixAgents), 32)
	return id.Broker(n), err
}

// LevelsKey is the key of the levels that a live agent knows.
func LevelsKey(b id.Broker) string { return PrefixLevels + b.String() }

// ParseLevelsKey takes a LevelsKey apart.
func ParseLevelsKey(key string) (id.Broker, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixLevels), 32)
	return id.Broker(n), err
}

// MemberKey is the key of what is kept of an agent, alive or not.
func MemberKey(b id.Broker) string { return PrefixMembers + b.String() }

// ParseMemberKey takes a MemberKey apart.
func ParseMemberKey(key string) (id.Broker, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixMembers), 32)
	return id.Broker(n), err
}

// SlotKey is the key of a coordinator slot.
func SlotKey(slot int) string { return PrefixSlots + strconv.Itoa(slot) }

// ParseSlotKey takes a SlotKey apart.
func ParseSlotKey(key string) (int, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixSlots), 16)
	return int(n), err
}

// JournalKey is the key of a journal.
func JournalKey(j id.Journal) string { return PrefixJournals + j.String() }

// WriterJournals is the prefix of the journals of one incarnation.
func WriterJournals(i id.Incarnation) string {
	return strings.TrimSuffix(JournalKey(id.Journal{Writer: i}), "0")
}

// ParseJournalKey takes a JournalKey apart.
func ParseJournalKey(key string) (id.Journal, error) {
	j, err := id.ParseJournal(strings.TrimPrefix(key, PrefixJournals))
	if err != nil {
		return j, &KeyError{key}
	}
	return j, nil
}

// TopicKey is the key of a topic.
func TopicKey(name string) string { return PrefixTopics + escape(name) }

// ParseTopicKey takes a TopicKey apart.
func ParseTopicKey(key string) (string, error) { return unescape(key, PrefixTopics) }

// DeletedKey is the key of a deleted topic.
func DeletedKey(t id.Topic) string { return PrefixDeleted + t.Hex() }

// ParseDeletedKey takes a DeletedKey apart.
func ParseDeletedKey(key string) (id.Topic, error) {
	t, err := id.ParseTopicHex(strings.TrimPrefix(key, PrefixDeleted))
	if err != nil {
		return t, &KeyError{key}
	}
	return t, nil
}

// TopicOwners is the prefix of the ownerships of one topic's partitions.
func TopicOwners(t id.Topic) string { return PrefixOwners + t.Hex() + "/" }

// OwnerKey is the key of a partition's ownership.
func OwnerKey(p id.Partition) string { return TopicOwners(p.Topic) + strconv.Itoa(int(p.Index)) }

// ParseOwnerKey takes an OwnerKey apart.
func ParseOwnerKey(key string) (id.Partition, error) { return parsePartition(key, PrefixOwners) }

// TopicHeads is the prefix of the heads of one topic.
func TopicHeads(t id.Topic) string { return PrefixHeads + t.Hex() + "/" }

// HeadKey is the key of a partition's head.
func HeadKey(p id.Partition) string { return TopicHeads(p.Topic) + strconv.Itoa(int(p.Index)) }

// ParseHeadKey takes a HeadKey apart.
func ParseHeadKey(key string) (id.Partition, error) { return parsePartition(key, PrefixHeads) }

// MoveKey is the key of a partition's move.
func MoveKey(p id.Partition) string {
	return PrefixMoves + p.Topic.Hex() + "/" + strconv.Itoa(int(p.Index))
}

// ParseMoveKey takes a MoveKey apart.
func ParseMoveKey(key string) (id.Partition, error) { return parsePartition(key, PrefixMoves) }

// DrainKey is the key of an agent that is to own nothing.
func DrainKey(b id.Broker) string { return PrefixDrained + b.String() }

// ParseDrainKey takes a DrainKey apart.
func ParseDrainKey(key string) (id.Broker, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixDrained), 32)
	return id.Broker(n), err
}

// LoadKey is the key of what an agent has to do.
func LoadKey(b id.Broker) string { return PrefixLoads + b.String() }

// ParseLoadKey takes a LoadKey apart.
func ParseLoadKey(key string) (id.Broker, error) {
	n, err := parseNumber(key, strings.TrimPrefix(key, PrefixLoads), 32)
	return id.Broker(n), err
}

func parsePartition(key, prefix string) (id.Partition, error) {
	hex, index, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	t, err := id.ParseTopicHex(hex)
	if !ok || err != nil {
		return id.Partition{}, &KeyError{key}
	}
	n, err := parseNumber(key, index, 32)
	return id.Partition{Topic: t, Index: int32(n)}, err
}

// BrokerConfigKey is the key of a broker's dynamic configuration; "" is the
// default of all brokers.
func BrokerConfigKey(broker string) string { return PrefixConfigs + "broker/" + escape(broker) }

// GroupConfigKey is the key of a group's dynamic configuration.
func GroupConfigKey(group string) string { return PrefixConfigs + "group/" + escape(group) }

// ClientMetricsConfigKey is the key of a subscription to clients' metrics (KIP-714).
func ClientMetricsConfigKey(name string) string {
	return PrefixConfigs + "client-metrics/" + escape(name)
}

// ParseConfigKey takes a BrokerConfigKey, GroupConfigKey or ClientMetricsConfigKey apart; kind is
// "broker", "group" or "client-metrics".
func ParseConfigKey(key string) (kind, name string, err error) {
	kind, name, ok := strings.Cut(strings.TrimPrefix(key, PrefixConfigs), "/")
	if !ok || kind != "broker" && kind != "group" && kind != "client-metrics" {
		return "", "", &KeyError{key}
	}
	name, err = unescape(name, "")
	return kind, name, err
}

// UserKey is the key of a user.
func UserKey(name string) string { return PrefixUsers + escape(name) }

// ParseUserKey takes a UserKey apart.
func ParseUserKey(key string) (string, error) { return unescape(key, PrefixUsers) }

// TokenKey is the key of a delegation token.
func TokenKey(id string) string { return PrefixTokens + escape(id) }

// ParseTokenKey takes a TokenKey apart.
func ParseTokenKey(key string) (string, error) { return unescape(key, PrefixTokens) }

// GroupKey is the key of a group.
func GroupKey(group string) string { return PrefixGroups + escape(group) }

// ParseGroupKey takes a GroupKey apart.
func ParseGroupKey(key string) (string, error) { return unescape(key, PrefixGroups) }

// GroupOffsets is the prefix of one group's offsets.
func GroupOffsets(group string) string { return PrefixOffsets + escape(group) + "/" }

// OffsetsKey is the key of a group's offsets in one topic, of its first partitions.
func OffsetsKey(group, topic string) string { return GroupOffsets(group) + escape(topic) }

// OffsetsShard is how many partitions share a key of offsets.
const OffsetsShard = 32

// OffsetsShardKey is the key of a group's offsets in one topic of the partitions from
// OffsetsShard*shard on. That of shard 0 is OffsetsKey; there earlier versions kept the
// offsets of all partitions.
func OffsetsShardKey(group, topic string, shard int32) string {
	if shard == 0 {
		return OffsetsKey(group, topic)
	}
	return OffsetsKey(group, topic) + "/" + strconv.Itoa(int(shard))
}

// ParseOffsetsKey takes an OffsetsShardKey apart.
func ParseOffsetsKey(key string) (group, topic string, shard int32, err error) {
	g, t, ok := strings.Cut(strings.TrimPrefix(key, PrefixOffsets), "/")
	if !ok {
		return "", "", 0, &KeyError{key}
	}
	t, s, sharded := strings.Cut(t, "/")
	if sharded {
		n, err := parseNumber(key, s, 32)
		if err != nil || n == 0 || n > math.MaxInt32/OffsetsShard {
			return "", "", 0, &KeyError{key}
		}
		shard = int32(n)
	}
	if group, err = unescape(g, ""); err != nil {
		return "", "", 0, err
	}
	topic, err = unescape(t, "")
	return group, topic, shard, err
}

func escape(name string) string { return url.PathEscape(name) }

func unescape(key, prefix string) (string, error) {
	s, err := url.PathUnescape(strings.TrimPrefix(key, prefix))
	if err != nil {
		return "", &KeyError{key}
	}
	return s, nil
}

func parseNumber(key, s string, bits int) (int64, error) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, &KeyError{key}
	}
	return n, nil
}
