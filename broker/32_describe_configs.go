package broker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
)

// sourceOf says in Kafka's terms where a topic's value came from.
func sourceOf(from string) kmsg.ConfigSource {
	switch from {
	case "topic":
		return kmsg.ConfigSourceDynamicTopicConfig
	case "broker":
		return kmsg.ConfigSourceDynamicBrokerConfig
	case "all":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	case "static":
		return kmsg.ConfigSourceStaticBrokerConfig
	case "group":
		return kmsg.ConfigSource(8) // GROUP_CONFIG
	}
	return kmsg.ConfigSourceDefaultConfig
}

// setting is one described setting, before it is put into an answer.
type setting struct {
	def      *cluster.Definition
	value    string
	from     string
	readOnly bool
	synonyms []synonym
}

type synonym struct{ name, value, from string }

func (b *Broker) describeConfigs(_ context.Context, _ *conn, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		settings, err := b.settings(r.ResourceType, r.ResourceName)
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		for _, s := range settings {
			if r.ConfigNames == nil || slices.Contains(r.ConfigNames, s.def.Name) {
				rr.Configs = append(rr.Configs, s.describe(req))
			}
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

func (s *setting) describe(req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly = s.def.Name, &s.value, s.readOnly
	c.Source, c.ConfigType = sourceOf(s.from), kmsg.ConfigType(s.def.Type)
	c.IsDefault = s.from == ""
	if req.IncludeSynonyms {
		for _, y := range s.synonyms {
			cs := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			cs.Name, cs.Value, cs.Source = y.name, &y.value, sourceOf(y.from)
			c.ConfigSynonyms = append(c.ConfigSynonyms, cs)
		}
	}
	if req.IncludeDocumentation {
		c.Documentation = &s.def.Doc
	}
	return c
}

// settings lists all that a resource has.
func (b *Broker) settings(kind kmsg.ConfigResourceType, name string) ([]setting, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		t, err := b.topicOf(false, name, id.Topic{})
		if err != nil {
			if bad := cluster.CheckTopicName(name); bad != nil {
				err = bad
			}
			return nil, err
		}
		return b.topicSettings(t), nil
	case kmsg.ConfigResourceTypeBroker:
		if err := b.checkBroker(name); err != nil {
			return nil, err
		}
		return b.brokerSettings(name), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return nil, refuse(kerr.InvalidRequest, "Group name is empty")
		}
		return b.groupSettings(name), nil
	}
	return nil, refuse(kerr.InvalidRequest, "Resource type %d has no settings here", kind)
}

// checkBroker refuses settings of another broker: each answers for itself.
func (b *Broker) checkBroker(name string) error {
	if name == "" || name == b.deps.Self.String() {
		return nil
	}
	if _, err := strconv.Atoi(name); err != nil {
		return refuse(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", name)
	}
	return refuse(kerr.InvalidRequest, "Unexpected broker id, expected %v or empty string, but received %s", b.deps.Self, name)
}

func (b *Broker) topicSettings(t *cluster.Topic) []setting {
	defs := cluster.TopicDefinitions()
	out := make([]setting, 0, len(defs))
	self := b.deps.Self.String()
	for i := range defs {
		d := &defs[i]
		s := setting{def: d}
		s.value, s.from = b.deps.View.Lookup(t.Config, self, d)
		if v, ok := t.Config[d.Name]; ok {
			s.synonyms = append(s.synonyms, synonym{d.Name, v, "topic"})
		}
		if d.Synonym != "" {
			s.synonyms = append(s.synonyms, b.brokerSynonyms(d, self)...)
		}
		out = append(out, s)
	}
	return out
}

// brokerSynonyms lists a broker's values for a topic's setting, the strongest
// first.
func (b *Broker) brokerSynonyms(d *cluster.Definition, broker string) (out []synonym) {
	if broker != "" {
		if v, ok := b.deps.View.BrokerSettings(broker)[d.Synonym]; ok {
			out = append(out, synonym{d.Synonym, v, "broker"})
		}
	}
	if v, ok := b.deps.View.BrokerSettings("")[d.Synonym]; ok {
		out = append(out, synonym{d.Synonym, v, "all"})
	}
	return append(out, synonym{d.Synonym, d.Default, ""})
}

func (b *Broker) groupSettings(group string) []setting {
	defs := cluster.GroupDefinitions()
	set := b.deps.View.GroupSettings(group)
	out := make([]setting, 0, len(defs))
	for i := range defs {
		d := &defs[i]
		s := setting{def: d, value: d.Default, synonyms: []synonym{{d.Synonym, d.Default, ""}}}
		if v, ok := set[d.Name]; ok {
			s.value, s.from = v, "group"
			s.synonyms = append([]synonym{{d.Name, v, "group"}}, s.synonyms...)
		}
		out = append(out, s)
	}
	return out
}

// brokerSettings lists the defaults of topics, which can be changed for a broker
// or all, and what the configuration file decided, which can't. Of all brokers
// ("") only what was set.
func (b *Broker) brokerSettings(broker string) []setting {
	var out []setting
	defs := cluster.BrokerDefinitions()
	for i := range defs {
		d := &defs[i]
		s := setting{def: d, value: d.Default, synonyms: b.brokerSynonyms(&cluster.Definition{Synonym: d.Name, Default: d.Default}, broker)}
		s.value, s.from = s.synonyms[0].value, s.synonyms[0].from
		if broker != "" || s.from != "" {
			out = append(out, s)
		}
	}
	if broker == "" {
		return out
	}
	for _, fixed := range b.fixedSettings() {
		out = append(out, setting{def: &fixed, value: fixed.Default, from: "static", readOnly: true, synonyms: []synonym{{fixed.Name, fixed.Default, "static"}}})
	}
	slices.SortFunc(out, func(x, y setting) int { return compareNames(x.def.Name, y.def.Name) })
	return out
}

func compareNames(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// fixedSettings names, as Kafka does, what the configuration file decided.
func (b *Broker) fixedSettings() []cluster.Definition {
	number := func(name string, v int64, doc string) cluster.Definition {
		return cluster.Definition{Name: name, Type: cluster.TypeLong, Default: strconv.FormatInt(v, 10), Doc: doc}
	}
	return []cluster.Definition{
		number("broker.id", int64(b.deps.Self), "The agent's broker id."),
		number("node.id", int64(b.deps.Self), "The agent's broker id."),
		{Name: "auto.create.topics.enable", Type: cluster.TypeBoolean, Default: strconv.FormatBool(b.cfg.AutoCreateTopics), Doc: "Whether topics are created when clients ask for them."},
		{Name: "delete.topic.enable", Type: cluster.TypeBoolean, Default: "true", Doc: "Topics can be deleted."},
		{Name: "log.dirs", Type: cluster.TypeString, Default: b.deps.DataDir, Doc: "Where the journals lie."},
		number("num.partitions", int64(b.cfg.DefaultPartitions), "Partitions of a topic that is created without a number."),
		number("default.replication.factor", 1, "Members of a journal's ensemble."),
		number("fetch.max.bytes", int64(b.cfg.FetchMaxBytes), "The most that one fetch answers."),
		number("socket.request.max.bytes", int64(b.cfg.MaxRequestBytes), "The largest request."),
		number("max.connections", int64(b.cfg.MaxConnections), "Client connections at a time."),
		number("max.connections.per.ip", int64(b.cfg.MaxConnectionsPerIP), "Client connections at a time from one address."),
		number("connections.max.idle.ms", b.cfg.IdleTimeout.Milliseconds(), "After which a silent connection is closed."),
		number("max.incremental.fetch.session.cache.slots", int64(b.cfg.FetchSessions), "Fetch sessions that are remembered."),
	}
}

func (b *Broker) alterConfigs(ctx context.Context, _ *conn, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := b.alter(ctx, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s metadata.Settings) error {
			clear(s)
			for _, c := range r.Configs {
				if c.Value == nil {
					return refuse(kerr.InvalidRequest, "Null value not supported for %s", c.Name)
				}
				s[c.Name] = *c.Value
			}
			return nil
		})
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

func (b *Broker) incrementalAlterConfigs(ctx context.Context, _ *conn, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := b.alter(ctx, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s metadata.Settings) error {
			return b.increment(s, r)
		})
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

// increment applies set, delete, append and subtract (KIP-339).
func (b *Broker) increment(s metadata.Settings, r *kmsg.IncrementalAlterConfigsRequestResource) error {
	seen := map[string]bool{}
	for _, c := range r.Configs {
		if seen[c.Name] {
			return refuse(kerr.InvalidRequest, "Due to multiple occurrences of the config key %s", c.Name)
		}
		seen[c.Name] = true
		if c.Op == kmsg.IncrementalAlterConfigOpDelete {
			delete(s, c.Name)
			continue
		}
		if c.Value == nil {
			return refuse(kerr.InvalidRequest, "Null value not supported for %s", c.Name)
		}
		if c.Op == kmsg.IncrementalAlterConfigOpSet {
			s[c.Name] = *c.Value
			continue
		}
		list, err := b.changeList(r.ResourceType, s, c.Name, *c.Value, c.Op)
		if err != nil {
			return err
		}
		s[c.Name] = list
	}
	return nil
}

func (b *Broker) changeList(kind kmsg.ConfigResourceType, s metadata.Settings, name, value string, op kmsg.IncrementalAlterConfigOp) (string, error) {
	d := cluster.Find(definitionsOf(kind), name)
	if d == nil {
		return "", refuse(cluster.ErrUnknownConfig, "Unknown configuration %s", name)
	}
	if d.Type != cluster.TypeList {
		return "", refuse(kerr.InvalidConfig, "Config value append/subtract is not allowed for config key: %s", name)
	}
	now, ok := s[name]
	if !ok {
		now = d.Default
	}
	list := cluster.SplitList(now)
	for _, e := range cluster.SplitList(value) {
		has := slices.Contains(list, e)
		if op == kmsg.IncrementalAlterConfigOpAppend && !has {
			list = append(list, e)
		} else if op == kmsg.IncrementalAlterConfigOpSubtract && has {
			list = slices.DeleteFunc(list, func(x string) bool { return x == e })
		}
	}
	return cluster.JoinList(list), nil
}

func definitionsOf(kind kmsg.ConfigResourceType) []cluster.Definition {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return cluster.TopicDefinitions()
	case kmsg.ConfigResourceTypeGroupConfig:
		return cluster.GroupDefinitions()
	}
	return cluster.BrokerDefinitions()
}

// alter changes the settings of a resource, or only checks the change.
func (b *Broker) alter(ctx context.Context, kind kmsg.ConfigResourceType, name string, validateOnly bool, change func(metadata.Settings) error) error {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	checked := func(check func(metadata.Settings) error) func(metadata.Settings) error {
		return func(s metadata.Settings) error {
			if err := change(s); err != nil {
				return err
			}
			if err := check(s); err != nil {
				return err
			}
			if validateOnly {
				return errValidated
			}
			return nil
		}
	}
	var err error
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		err = b.deps.View.AlterTopic(ctx, name, checked(cluster.CheckTopicConfig))
	case kmsg.ConfigResourceTypeBroker:
		if err = b.checkBroker(name); err == nil {
			err = b.deps.View.AlterBroker(ctx, name, checked(b.checkBrokerConfig))
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		err = b.deps.View.AlterGroup(ctx, name, checked(cluster.CheckGroupConfig))
	default:
		err = refuse(kerr.InvalidRequest, "Resource type %d has no settings here", kind)
	}
	if err == errValidated {
		return nil
	}
	return err
}

// checkBrokerConfig refuses what only the configuration file decides.
func (b *Broker) checkBrokerConfig(s metadata.Settings) error {
	var fixed []string
	for _, d := range b.fixedSettings() {
		if _, ok := s[d.Name]; ok {
			fixed = append(fixed, d.Name)
		}
	}
	if len(fixed) > 0 {
		return refuse(kerr.InvalidRequest, "Cannot update these configs dynamically: [%s]", strings.Join(fixed, ", "))
	}
	return cluster.CheckBrokerConfig(s)
}

// errValidated ends a change that was only to be checked.
var errValidated = fmt.Errorf("validated only")
