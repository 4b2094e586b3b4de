package owner

import (
	"slices"
	"strconv"
	"strings"

	"varve/cluster"
	"varve/kafka"
	"varve/partition"
)

// partitionSettings returns what appends and retention need of a topic's settings.
func partitionSettings(v *cluster.View, t *cluster.Topic, broker string) *partition.Settings {
	defaults := v.BrokerSettings(broker)
	get := func(name string) string {
		s, _ := defaults.Lookup(t.Config, cluster.Find(cluster.TopicDefinitions(), name))
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
		RetentionBytes:   max(number("retention.bytes"), -1),
		ProducerExpiryMs: 86400000,
		MinInSync:        int(number("min.insync.replicas")),
	}
	policy := cluster.SplitList(get("cleanup.policy"))
	s.Compact, s.Delete = slices.Contains(policy, "compact"), slices.Contains(policy, "delete")
	codec := get("compression.type")
	s.KeepCompression = codec == "producer"
	if !s.KeepCompression {
		s.Compression, _ = kafka.ParseCodec(codec) // it was checked when it was set
	}
	return s
}
