package cluster

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"varve/kafka"
	"varve/metadata"
	"varve/partition"
)

// Type is a setting's type, with the numbers of DescribeConfigs.
type Type int8

// The types that settings have.
const (
	TypeBoolean Type = iota + 1
	TypeString
	TypeInt
	TypeShort
	TypeLong
	TypeDouble
	TypeList
	TypeClass
	TypePassword
)

// Definition describes one dynamic setting, named and valued as in Kafka.
type Definition struct {
	Name    string
	Synonym string // of a topic's setting: the broker's that is its default
	Type    Type
	Default string
	Doc     string
	Min     float64
	Max     float64
	OneOf   []string // allowed values of a string, or elements of a list
}

func long(name, synonym string, def, min int64, doc string) Definition {
	return Definition{Name: name, Synonym: synonym, Type: TypeLong, Default: strconv.FormatInt(def, 10), Doc: doc, Min: float64(min), Max: math.MaxInt64}
}

func integer(name, synonym string, def, min, max int64, doc string) Definition {
	return Definition{Name: name, Synonym: synonym, Type: TypeInt, Default: strconv.FormatInt(def, 10), Doc: doc, Min: float64(min), Max: float64(max)}
}

func boolean(name, synonym, def, doc string) Definition {
	return Definition{Name: name, Synonym: synonym, Type: TypeBoolean, Default: def, Doc: doc, OneOf: []string{"true", "false"}}
}

var codecs = []string{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}

// topicDefinitions are the settings of a topic. Those that say "no effect" are
// known so that tools made for Kafka can set them.
var topicDefinitions = []Definition{
	{Name: "cleanup.policy", Synonym: "log.cleanup.policy", Type: TypeList, Default: "delete", OneOf: []string{"delete", "compact"},
		Doc: "What becomes of old records: delete drops them by time or size, compact keeps the newest of each key."},
	integer("compression.gzip.level", "compression.gzip.level", -1, -1, 9, "Level of gzip when the broker compresses anew. No effect: the codec's default is used."),
	integer("compression.lz4.level", "compression.lz4.level", 9, 1, 17, "Level of lz4 when the broker compresses anew. No effect: the codec's default is used."),
	{Name: "compression.type", Synonym: "compression.type", Type: TypeString, Default: "producer", OneOf: codecs,
		Doc: "The codec in which batches are stored; producer keeps what the producer chose."},
	integer("compression.zstd.level", "compression.zstd.level", 3, -131072, 22, "Level of zstd when the broker compresses anew. No effect: the fastest level is used."),
	long("delete.retention.ms", "log.cleaner.delete.retention.ms", 86400000, 0, "How long tombstones of a compacted topic are kept."),
	long("file.delete.delay.ms", "log.segment.delete.delay.ms", 60000, 0, "No effect: files are recycled, objects are collected after a grace time."),
	long("flush.messages", "log.flush.interval.messages", math.MaxInt64, 1, "No effect: every record is synced before it is acknowledged."),
	long("flush.ms", "log.flush.interval.ms", math.MaxInt64, 0, "No effect: every record is synced before it is acknowledged."),
	{Name: "follower.replication.throttled.replicas", Type: TypeList, Doc: "No effect: followers hold journals, not partitions."},
	integer("index.interval.bytes", "log.index.interval.bytes", 4096, 0, math.MaxInt32, "No effect: every batch is indexed."),
	{Name: "leader.replication.throttled.replicas", Type: TypeList, Doc: "No effect: followers hold journals, not partitions."},
	long("local.retention.bytes", "log.local.retention.bytes", -2, -2, "No effect: the local journal is a cache of bounded size."),
	long("local.retention.ms", "log.local.retention.ms", -2, -2, "No effect: the local journal is a cache of bounded size."),
	long("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", math.MaxInt64, 1, "How long a record of a compacted topic may stay uncompacted."),
	integer("max.message.bytes", "message.max.bytes", 1048588, 0, MaxMessageBytes, "The largest record batch, in bytes."),
	long("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", 3600000, 0, "How far a record's timestamp may be ahead of the broker's clock."),
	long("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", math.MaxInt64, 0, "How far a record's timestamp may be behind the broker's clock."),
	{Name: "message.timestamp.type", Synonym: "log.message.timestamp.type", Type: TypeString, Default: "CreateTime", OneOf: []string{"CreateTime", "LogAppendTime"},
		Doc: "Whether a record's timestamp is the producer's or the time of its append."},
	{Name: "min.cleanable.dirty.ratio", Synonym: "log.cleaner.min.cleanable.ratio", Type: TypeDouble, Default: "0.5", Max: 1, Doc: "How much of a compacted topic must be uncompacted before it is compacted again."},
	long("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", 0, 0, "How long a record of a compacted topic stays uncompacted at least."),
	integer("min.insync.replicas", "min.insync.replicas", 1, 1, math.MaxInt32, "How many members of the journal's ensemble must be alive for a produce with acks=all."),
	boolean("preallocate", "log.preallocate", "false", "No effect: journal files are always preallocated."),
	boolean("remote.log.copy.disable", "", "false", "No effect: every topic is tiered."),
	boolean("remote.log.delete.on.disable", "", "false", "No effect: every topic is tiered."),
	boolean("remote.storage.enable", "", "true", "No effect: every topic is tiered."),
	long("retention.bytes", "log.retention.bytes", -1, -1, "How many bytes of a partition are kept; -1 is without limit."),
	long("retention.ms", "log.retention.ms", 604800000, -1, "How long records are kept; -1 is for ever."),
	integer("segment.bytes", "log.segment.bytes", 1073741824, 1048576, math.MaxInt32, "No effect: objects have the size that the tier wants."),
	integer("segment.index.bytes", "log.index.size.max.bytes", 10485760, 4, math.MaxInt32, "No effect: indexes lie in the objects."),
	long("segment.jitter.ms", "log.roll.jitter.ms", 0, 0, "No effect: objects are uploaded by size and age of all partitions together."),
	long("segment.ms", "log.roll.ms", 604800000, 1, "No effect: objects are uploaded by size and age of all partitions together."),
	boolean("unclean.leader.election.enable", "unclean.leader.election.enable", "false", "No effect: an acknowledged record is never given up by an election."),
}

// MaxMessageBytes is the largest value that max.message.bytes may have.
const MaxMessageBytes = 32 << 20

// TopicDefinitions lists the settings that a topic has, by name.
func TopicDefinitions() []Definition { return topicDefinitions }

// GroupDefinitions lists the dynamic settings that a group has, by name.
func GroupDefinitions() []Definition { return groupDefinitions }

var groupDefinitions = []Definition{
	integer("consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms", 5000, 1, math.MaxInt32, "How often a member of a consumer group (KIP-848) sends heartbeats. No effect on classic groups."),
	integer("consumer.session.timeout.ms", "group.consumer.session.timeout.ms", 45000, 1, math.MaxInt32, "How long a member of a consumer group (KIP-848) may be silent. No effect on classic groups."),
}

// BrokerDefinitions lists the dynamic settings that a broker, or all brokers,
// have: the defaults of topics.
func BrokerDefinitions() []Definition { return brokerDefinitions }

var brokerDefinitions = brokerDefaults()

func brokerDefaults() (out []Definition) {
	for _, d := range topicDefinitions {
		if d.Synonym != "" {
			d.Name, d.Synonym = d.Synonym, ""
			out = append(out, d)
		}
	}
	return out
}

// Find looks a definition up by name; nil if there is none.
func Find(defs []Definition, name string) *Definition {
	for i := range defs {
		if defs[i].Name == name {
			return &defs[i]
		}
	}
	return nil
}

// Check says whether value is allowed.
func (d *Definition) Check(value string) error {
	bad := func(why string) error {
		return fmt.Errorf("invalid value %s for configuration %s: %s: %w", value, d.Name, why, ErrConfigValue)
	}
	switch d.Type {
	case TypeInt, TypeLong, TypeShort:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return bad("not a number of type " + d.typeName())
		}
		if float64(n) < d.Min || float64(n) > d.Max {
			return bad(fmt.Sprintf("value must be from %.0f to %.0f", d.Min, d.Max))
		}
	case TypeDouble:
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || math.IsNaN(n) || n < d.Min || n > d.Max {
			return bad(fmt.Sprintf("value must be from %v to %v", d.Min, d.Max))
		}
	case TypeList:
		for _, e := range SplitList(value) {
			if d.OneOf != nil && !slices.Contains(d.OneOf, e) {
				return bad("entries must be one of " + strings.Join(d.OneOf, ", "))
			}
		}
	default:
		if d.OneOf != nil && !slices.Contains(d.OneOf, value) {
			return bad("value must be one of " + strings.Join(d.OneOf, ", "))
		}
	}
	return nil
}

func (d *Definition) typeName() string {
	if d.Type == TypeInt {
		return "INT"
	}
	return "LONG"
}

// SplitList takes a list's value apart.
func SplitList(value string) []string {
	var out []string
	for _, e := range strings.Split(value, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}

// JoinList puts a list's value together.
func JoinList(list []string) string { return strings.Join(list, ",") }

func check(defs []Definition, s metadata.Settings) error {
	for name, value := range s {
		d := Find(defs, name)
		if d == nil {
			return fmt.Errorf("unknown configuration %s: %w", name, ErrUnknownConfig)
		}
		if err := d.Check(value); err != nil {
			return err
		}
	}
	return nil
}

// CheckTopicConfig says whether a topic may have these settings.
func CheckTopicConfig(s metadata.Settings) error {
	if err := check(topicDefinitions, s); err != nil {
		return err
	}
	if v, ok := s["cleanup.policy"]; ok && len(SplitList(v)) == 0 {
		return fmt.Errorf("invalid value %q for configuration cleanup.policy: it must not be empty: %w", v, ErrConfigValue)
	}
	return nil
}

// CheckBrokerConfig says whether a broker, or all, may have these settings.
func CheckBrokerConfig(s metadata.Settings) error { return check(brokerDefinitions, s) }

// CheckGroupConfig says whether a group may have these settings.
func CheckGroupConfig(s metadata.Settings) error { return check(groupDefinitions, s) }

// Lookup gives a topic setting's value and, of the names it may be set by, the
// one that decided: the topic's own, a broker's (dynamic, then the one of all
// brokers), or "" for the default.
func (v *View) Lookup(topic metadata.Settings, broker string, d *Definition) (value, from string) {
	if s, ok := topic[d.Name]; ok {
		return s, "topic"
	}
	if d.Synonym != "" {
		if s, ok := v.BrokerSettings(broker)[d.Synonym]; ok {
			return s, "broker"
		}
		if s, ok := v.BrokerSettings("")[d.Synonym]; ok {
			return s, "all"
		}
	}
	return d.Default, ""
}

// PartitionSettings gives what appends and retention need of a topic's settings.
func (v *View) PartitionSettings(t *Topic, broker string) *partition.Settings {
	get := func(name string) string {
		s, _ := v.Lookup(t.Config, broker, Find(topicDefinitions, name))
		return s
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(strings.TrimSpace(get(name)), 10, 64)
		return n
	}
	s := &partition.Settings{
		Topic:            t.Name,
		MaxMessageBytes:  number("max.message.bytes"),
		LogAppendTime:    get("message.timestamp.type") == "LogAppendTime",
		TimestampBefore:  number("message.timestamp.before.max.ms"),
		TimestampAfter:   number("message.timestamp.after.max.ms"),
		RetentionMs:      number("retention.ms"),
		RetentionBytes:   number("retention.bytes"),
		ProducerExpiryMs: 86400000,
		MinInSync:        int(number("min.insync.replicas")),
	}
	policy := SplitList(get("cleanup.policy"))
	s.Compact, s.Delete = slices.Contains(policy, "compact"), slices.Contains(policy, "delete")
	codec := get("compression.type")
	s.KeepCompression = codec == "producer"
	if !s.KeepCompression {
		s.Compression, _ = kafka.ParseCodec(codec) // it was checked when it was set
	}
	return s
}
