package cluster

import (
	"errors"
	"strings"
	"testing"

	"varve/metadata/schema"
)

// What Kafka takes is taken, and stored as Kafka stores it.
func TestSettingsAreTakenAsKafkaTakesThem(t *testing.T) {
	for _, c := range []struct{ name, value, stored string }{
		{"cleanup.policy", "", ""},
		{"cleanup.policy", "delete, delete", "delete"},
		{"cleanup.policy", "compact,delete", "compact,delete"},
		{"preallocate", "True", "true"},
		{"retention.bytes", "-5", "-5"},
		{"retention.bytes", "9223372036854775807", "9223372036854775807"},
		{"max.message.bytes", "33554432", "33554432"},
		{"compression.gzip.level", "-1", "-1"},
		{"compression.gzip.level", "9", "9"},
		{"leader.replication.throttled.replicas", "*", "*"},
		{"follower.replication.throttled.replicas", "0:1, 12:3", "0:1,12:3"},
		{"leader.replication.throttled.replicas", "", ""},
		{"max.compaction.lag.ms", "10", "10"},
	} {
		s := schema.Settings{c.name: c.value}
		if err := CheckTopicConfig(s); err != nil || s[c.name] != c.stored {
			t.Errorf("%s=%q: stored %q, want %q, %v", c.name, c.value, s[c.name], c.stored, err)
		}
	}
	for _, name := range []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second", "log.cleanup.policy"} {
		value := "1000"
		if name == "log.cleanup.policy" {
			value = "delete"
		}
		if err := CheckBrokerConfig(schema.Settings{name: value}); err != nil {
			t.Errorf("broker's %s: %v", name, err)
		}
	}
}

// What Kafka refuses is refused, with a text with the value, the name and the reason.
func TestSettingsAreRefusedAsKafkaRefusesThem(t *testing.T) {
	for _, c := range []struct {
		check  func(schema.Settings) error
		s      schema.Settings
		reason error
		text   string
	}{
		{CheckTopicConfig, schema.Settings{"leader.replication.throttled.replicas": "xx"}, ErrConfigValue, "'*'"},
		{CheckTopicConfig, schema.Settings{"compression.gzip.level": "0"}, ErrConfigValue, "from 1 to 9, or -1"},
		{CheckTopicConfig, schema.Settings{"compression.gzip.level": "x"}, ErrConfigValue, "INT"},
		{CheckTopicConfig, schema.Settings{"cleanup.policy": "keep"}, ErrConfigValue, "delete, compact"},
		{CheckTopicConfig, schema.Settings{"preallocate": "yes"}, ErrConfigValue, "true, false"},
		{CheckTopicConfig, schema.Settings{"max.message.bytes": "33554433"}, ErrConfigValue, "from 0 to 33554432"},
		{CheckTopicConfig, schema.Settings{"retention.ms": "-2"}, ErrConfigValue, "at least -1"},
		{CheckTopicConfig, schema.Settings{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"}, ErrConfigValue, "min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"},
		{CheckTopicConfig, schema.Settings{"retention.sm": "5"}, ErrUnknownConfig, "Unknown configuration retention.sm"},
		{CheckGroupConfig, schema.Settings{"consumer.session.timeout.ms": "1"}, ErrConfigValue, "from 45000 to 60000"},
		{CheckGroupConfig, schema.Settings{"consumer.heartbeat.interval.ms": "1"}, ErrConfigValue, "from 5000 to 15000"},
		{CheckBrokerConfig, schema.Settings{"leader.replication.throttled.rate": "-1"}, ErrConfigValue, "at least 0"},
	} {
		err := c.check(c.s)
		if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), c.reason.Error()) {
			t.Errorf("%v: %v", c.s, err)
		}
	}
}

// Every setting's own default would be taken, and one that does nothing is described so.
func TestDefinitionsAreSound(t *testing.T) {
	for _, defs := range [][]Definition{TopicDefinitions(), BrokerDefinitions(), GroupDefinitions()} {
		for _, d := range defs {
			if err := d.Check(d.Default); err != nil {
				t.Errorf("the default: %v", err)
			}
			compaction := strings.Contains(d.Name, "compaction") || strings.Contains(d.Name, "cleanup") || strings.Contains(d.Name, "cleaner") || strings.Contains(d.Name, "cleanable") || strings.HasSuffix(d.Name, "delete.retention.ms")
			if d.Doc == "" || compaction && !strings.Contains(strings.ToLower(d.Doc), "no effect yet") {
				t.Errorf("%s is described as %q", d.Name, d.Doc)
			}
		}
	}
}

// A topic's own value precedes its broker's, that precedes the one of all brokers.
func TestTopicsInheritFromTheirBroker(t *testing.T) {
	v := NewView(nil, nil)
	v.mu.settings.rows[configured{"broker", "1"}] = schema.Settings{"log.retention.ms": "1"}
	v.mu.settings.rows[configured{"broker", ""}] = schema.Settings{"log.retention.ms": "2"}
	d := Find(TopicDefinitions(), "retention.ms")
	for _, c := range []struct {
		topic       schema.Settings
		broker      string
		value, from string
	}{
		{schema.Settings{"retention.ms": "3"}, "1", "3", "topic"},
		{nil, "1", "1", "broker"},
		{nil, "2", "2", "all"},
		{nil, "", "2", "all"},
	} {
		if value, from := v.BrokerSettings(c.broker).Lookup(c.topic, d); value != c.value || from != c.from {
			t.Errorf("topic %v of broker %q: %s from %q, want %s from %q", c.topic, c.broker, value, from, c.value, c.from)
		}
	}
	if value, from := new(BrokerSettings).Lookup(nil, d); value != d.Default || from != "" {
		t.Errorf("of nothing: %s from %q", value, from)
	}
}
