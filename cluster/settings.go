package cluster

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"varve/metadata/schema"
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
	// Also, if not nil, returns what is wrong with a value that fits the rest; "" is nothing.
	Also func(value string) string
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

// topicDefinitions are the settings of a topic. Those described as "no effect" are
// known so that tools made for Kafka can set them.
var topicDefinitions = []Definition{
	{Name: "cleanup.policy", Synonym: "log.cleanup.policy", Type: TypeList, Default: "delete", OneOf: []string{"delete", "compact"},
		Doc: "What becomes of old records: delete drops them by time or size. compact has no effect yet but that records without a key are refused: nothing is compacted, such a topic keeps every record, also superseded values and what tombstones delete, and it grows; delete beside it drops records by time or size all the same. An empty list keeps everything."},
	gzipLevel(),
	integer("compression.lz4.level", "compression.lz4.level", 9, 1, 17, "Level of lz4 when the broker compresses anew. No effect: the codec's default is used."),
	{Name: "compression.type", Synonym: "compression.type", Type: TypeString, Default: "producer", OneOf: codecs,
		Doc: "The codec in which batches are stored; producer keeps what the producer chose."},
	integer("compression.zstd.level", "compression.zstd.level", 3, -131072, 22, "Level of zstd when the broker compresses anew. No effect: the fastest level is used."),
	long("delete.retention.ms", "log.cleaner.delete.retention.ms", 86400000, 0, "How long tombstones of a compacted topic are kept. No effect yet: nothing is compacted, and tombstones stay."),
	long("file.delete.delay.ms", "log.segment.delete.delay.ms", 60000, 0, "No effect: files are recycled, objects are collected after a grace time."),
	long("flush.messages", "log.flush.interval.messages", math.MaxInt64, 1, "No effect: every record is synced before it is acknowledged."),
	long("flush.ms", "log.flush.interval.ms", math.MaxInt64, 0, "No effect: every record is synced before it is acknowledged."),
	{Name: "follower.replication.throttled.replicas", Type: TypeList, Also: checkReplicaList, Doc: "No effect: followers hold journals, not partitions."},
	integer("index.interval.bytes", "log.index.interval.bytes", 4096, 0, math.MaxInt32, "No effect: every batch is indexed."),
	{Name: "leader.replication.throttled.replicas", Type: TypeList, Also: checkReplicaList, Doc: "No effect: followers hold journals, not partitions."},
	long("local.retention.bytes", "log.local.retention.bytes", -2, -2, "No effect: the local journal is a cache of bounded size."),
	long("local.retention.ms", "log.local.retention.ms", -2, -2, "No effect: the local journal is a cache of bounded size."),
	long("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", math.MaxInt64, 1, "How long a record of a compacted topic may stay uncompacted. No effect yet: nothing is compacted."),
	integer("max.message.bytes", "message.max.bytes", 1048588, 0, MaxMessageBytes, "The largest record batch, in bytes; at most 33554432, which an entry of the journal has room for."),
	long("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", 3600000, 0, "How far a record's timestamp may be ahead of the broker's clock."),
	long("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", math.MaxInt64, 0, "How far a record's timestamp may be behind the broker's clock."),
	{Name: "message.timestamp.type", Synonym: "log.message.timestamp.type", Type: TypeString, Default: "CreateTime", OneOf: []string{"CreateTime", "LogAppendTime"},
		Doc: "Whether a record's timestamp is the producer's or the time of its append."},
	{Name: "min.cleanable.dirty.ratio", Synonym: "log.cleaner.min.cleanable.ratio", Type: TypeDouble, Default: "0.5", Max: 1, Doc: "How much of a compacted topic must be uncompacted before it is compacted again. No effect yet: nothing is compacted."},
	long("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", 0, 0, "How long a record of a compacted topic stays uncompacted at least. No effect yet: nothing is compacted."),
	integer("min.insync.replicas", "min.insync.replicas", 1, 1, math.MaxInt32, "How many members of the journal's ensemble must be alive for a produce with acks=all."),
	boolean("preallocate", "log.preallocate", "false", "No effect: journal files are always preallocated."),
	boolean("remote.log.copy.disable", "", "false", "No effect: every topic is tiered."),
	boolean("remote.log.delete.on.disable", "", "false", "No effect: every topic is tiered."),
	boolean("remote.storage.enable", "", "true", "No effect: every topic is tiered."),
	long("retention.bytes", "log.retention.bytes", -1, math.MinInt64, "How many bytes of a partition are kept; below 0 is without limit."),
	long("retention.ms", "log.retention.ms", 604800000, -1, "How long records are kept; -1 is for ever."),
	integer("segment.bytes", "log.segment.bytes", 1073741824, 1048576, math.MaxInt32, "No effect: objects have the size that the tier wants."),
	integer("segment.index.bytes", "log.index.size.max.bytes", 10485760, 4, math.MaxInt32, "No effect: indexes lie in the objects."),
	long("segment.jitter.ms", "log.roll.jitter.ms", 0, 0, "No effect: objects are uploaded by size and age of all partitions together."),
	long("segment.ms", "log.roll.ms", 604800000, 1, "No effect: objects are uploaded by size and age of all partitions together."),
	boolean("unclean.leader.election.enable", "unclean.leader.election.enable", "false", "No effect: an acknowledged record is never given up by an election."),
}

// gzipLevel is the one number with a gap: Kafka knows no level 0.
func gzipLevel() Definition {
	d := integer("compression.gzip.level", "compression.gzip.level", -1, -1, 9, "Level of gzip when the broker compresses anew. No effect: the codec's default is used.")
	d.Also = func(value string) string {
		if n, err := strconv.Atoi(strings.TrimSpace(value)); err != nil || n == 0 {
			return "value must be from 1 to 9, or -1"
		}
		return ""
	}
	return d
}

// replicaList is one element of what throttled.replicas may be, beside "*".
var replicaList = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

func checkReplicaList(value string) string {
	list := SplitList(value)
	if len(list) > 0 && list[0] == "*" {
		return ""
	}
	for _, e := range list {
		if !replicaList.MatchString(e) {
			return "it must be the literal '*' or a list of replicas in the format [partition]:[broker],[partition]:[broker],..."
		}
	}
	return ""
}

// MaxMessageBytes is the largest value that max.message.bytes may have: a batch must fit
// into an entry of the journal, whose files may be as small as 64 MiB.
const MaxMessageBytes = 32 << 20

// TopicDefinitions lists the settings that a topic has, by name.
func TopicDefinitions() []Definition { return topicDefinitions }

// GroupDefinitions lists the dynamic settings that a group has, by name.
func GroupDefinitions() []Definition { return groupDefinitions }

// groupDefinitions have the bounds that Kafka's brokers set by default.
var groupDefinitions = []Definition{
	integer("consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms", 5000, 5000, 15000, "How often a member of a consumer group (KIP-848) sends heartbeats. No effect: all groups are classic."),
	integer("consumer.session.timeout.ms", "group.consumer.session.timeout.ms", 45000, 45000, 60000, "How long a member of a consumer group (KIP-848) may be silent. No effect: all groups are classic."),
}

// BrokerDefinitions lists the dynamic settings that a broker, or all brokers,
// have: the defaults of topics, and the limits that Kafka's tools set while they
// reassign partitions.
func BrokerDefinitions() []Definition { return brokerDefinitions }

var brokerDefinitions = brokerDefaults()

func brokerDefaults() (out []Definition) {
	for _, d := range topicDefinitions {
		if d.Synonym != "" {
			d.Name, d.Synonym = d.Synonym, ""
			out = append(out, d)
		}
	}
	for _, name := range []string{"follower.replication.throttled.rate", "leader.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second"} {
		out = append(out, long(name, "", math.MaxInt64, 0, "No effect: a partition moves without its history, so there is nothing to throttle."))
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

// BrokerSettings are the dynamic settings that a broker has as of one moment: its topics'
// defaults. They must not be changed.
type BrokerSettings struct {
	Own schema.Settings // of the broker alone; they precede All
	All schema.Settings // of all brokers
}

// BrokerSettings returns the dynamic settings that a broker has; with "" as broker only
// those of all.
func (v *View) BrokerSettings(broker string) (s BrokerSettings) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if broker != "" {
		s.Own = v.mu.settings.rows[configured{"broker", broker}]
	}
	s.All = v.mu.settings.rows[configured{"broker", ""}]
	return s
}

// Lookup returns a topic setting's value and, of the names it may be set by, the
// one that decided: the topic's own, a broker's (dynamic, then the one of all
// brokers), or "" for the default.
func (s BrokerSettings) Lookup(topic schema.Settings, d *Definition) (value, from string) {
	if v, ok := topic[d.Name]; ok {
		return v, "topic"
	}
	if d.Synonym != "" {
		if v, ok := s.Own[d.Synonym]; ok {
			return v, "broker"
		}
		if v, ok := s.All[d.Synonym]; ok {
			return v, "all"
		}
	}
	return d.Default, ""
}

// GroupSettings returns the dynamic settings of a group.
func (v *View) GroupSettings(group string) schema.Settings {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.settings.rows[configured{"group", group}]
}

// ClientMetrics returns the subscriptions to clients' metrics, by name. Their settings must not be
// changed.
func ClientMetrics(v *View) map[string]schema.Settings {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := map[string]schema.Settings{}
	for c, s := range v.mu.settings.rows {
		if c.kind == "client-metrics" {
			out[c.name] = s
		}
	}
	return out
}

// ConfiguredGroups lists the groups that have dynamic settings.
func ConfiguredGroups(v *View) (names []string) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for c := range v.mu.settings.rows {
		if c.kind == "group" {
			names = append(names, c.name)
		}
	}
	return names
}

// ClientMetricsDefinitions lists the settings of a subscription to clients' metrics, by name.
func ClientMetricsDefinitions() []Definition { return clientMetricsDefinitions }

var clientMetricsDefinitions = []Definition{
	integer("interval.ms", "", 300_000, 100, 3_600_000, "How often clients push their metrics."),
	{Name: "match", Type: TypeList, Doc: "Which clients are asked, as a list of SELECTOR=REGULAR_EXPRESSION that all have to match; empty: all. Selectors: client_instance_id, client_id, client_software_name, client_software_version, client_source_address, client_source_port."},
	{Name: "metrics", Type: TypeList, Doc: "Prefixes of the names of the metrics that clients push; *: all."},
}

func parseConfigured(key string) (c configured, err error) {
	c.kind, c.name, err = schema.ParseConfigKey(key)
	return c, err
}
