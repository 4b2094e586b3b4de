// DescribeConfigs, versions 1 to 4: 1 sources and synonyms (KIP-226), 3 types and
// documentation (KIP-569).

package broker

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

// sourceOf returns in Kafka's terms where a topic's value came from.
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
	case "client metrics":
		return kmsg.ConfigSourceClientMetricsConfig
	case "logger":
		return kmsg.ConfigSourceDynamicBrokerLoggerConfig
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

func (api *configAPIs) describeConfigs(ctx context.Context, c *caller, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		var settings []setting
		err := mayConfigure(c, opDescribeConfigs, r.ResourceType, r.ResourceName)
		if err == nil {
			settings, err = api.settings(ctx, r.ResourceType, r.ResourceName)
		}
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		for _, s := range settings {
			if len(r.ConfigNames) == 0 || slices.Contains(r.ConfigNames, s.def.Name) {
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

// mayConfigure returns why a caller may not do op with the settings of a resource, or nil.
// Those of brokers are the cluster's.
func mayConfigure(c *caller, op acl.Operation, kind kmsg.ConfigResourceType, name string) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return c.check(op, onTopic, name)
	case kmsg.ConfigResourceTypeGroupConfig:
		return c.check(op, onGroup, name)
	}
	return c.check(op, onCluster, theCluster)
}

// settings lists all that a resource has.
func (api *configAPIs) settings(ctx context.Context, kind kmsg.ConfigResourceType, name string) ([]setting, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		t, err := api.opening.topic(ctx, false, name, id.Topic{})
		if err != nil {
			if bad := cluster.CheckTopicName(name); bad != nil {
				err = bad
			}
			return nil, err
		}
		return api.topicSettings(t), nil
	case kmsg.ConfigResourceTypeBroker:
		if err := api.checkBroker(name); err != nil {
			return nil, err
		}
		return api.brokerSettings(name), nil
	case kmsg.ConfigResourceTypeClientMetrics:
		if name == "" {
			return nil, refuse(kerr.InvalidRequest, "Client metrics subscription name must not be empty")
		}
		return clientMetricsSettings(cluster.ClientMetrics(api.view)[name]), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if err := api.checkLoggerOf(name); err != nil {
			return nil, err
		}
		return api.loggers(), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return nil, refuse(kerr.InvalidRequest, "Group name is empty")
		}
		return api.groupSettings(name), nil
	}
	return nil, refuse(kerr.InvalidRequest, "Resource type %d has no settings here", kind)
}

// checkBroker refuses settings of another broker: each answers for itself.
func (api *configAPIs) checkBroker(name string) error {
	if name == "" || name == api.self.String() {
		return nil
	}
	if _, err := strconv.Atoi(name); err != nil {
		return refuse(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", name)
	}
	return refuse(kerr.InvalidRequest, "Unexpected broker id, expected %v or empty string, but received %s", api.self, name)
}

func (api *configAPIs) topicSettings(t *cluster.Topic) []setting {
	defs := cluster.TopicDefinitions()
	out := make([]setting, 0, len(defs))
	defaults := api.view.BrokerSettings(api.self.String())
	for i := range defs {
		d := &defs[i]
		s := setting{def: d}
		s.value, s.from = defaults.Lookup(t.Config, d)
		if v, ok := t.Config[d.Name]; ok {
			s.synonyms = append(s.synonyms, synonym{d.Name, v, "topic"})
		}
		if d.Synonym != "" {
			s.synonyms = append(s.synonyms, brokerSynonyms(d, defaults)...)
		}
		out = append(out, s)
	}
	return out
}

// brokerSynonyms lists a broker's values for a topic's setting, the strongest
// first.
func brokerSynonyms(d *cluster.Definition, s cluster.BrokerSettings) (out []synonym) {
	if v, ok := s.Own[d.Synonym]; ok {
		out = append(out, synonym{d.Synonym, v, "broker"})
	}
	if v, ok := s.All[d.Synonym]; ok {
		out = append(out, synonym{d.Synonym, v, "all"})
	}
	return append(out, synonym{d.Synonym, d.Default, ""})
}

func (api *configAPIs) groupSettings(group string) []setting {
	defs := cluster.GroupDefinitions()
	set := api.view.GroupSettings(group)
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

// clientMetricsSettings lists what a subscription has; of one that isn't there nothing.
func clientMetricsSettings(set schema.Settings) (out []setting) {
	defs := cluster.ClientMetricsDefinitions()
	for i := range defs {
		if v, ok := set[defs[i].Name]; ok {
			out = append(out, setting{def: &defs[i], value: v, from: "client metrics"})
		}
	}
	return out
}

// brokerSettings lists the defaults of topics, which can be changed for a broker
// or all, and what the configuration file decided, which can't. Of all brokers
// ("") only what was set.
func (api *configAPIs) brokerSettings(broker string) []setting {
	var out []setting
	defs, dynamic := cluster.BrokerDefinitions(), api.view.BrokerSettings(broker)
	for i := range defs {
		d := &defs[i]
		s := setting{def: d, value: d.Default, synonyms: brokerSynonyms(&cluster.Definition{Synonym: d.Name, Default: d.Default}, dynamic)}
		s.value, s.from = s.synonyms[0].value, s.synonyms[0].from
		if broker != "" || s.from != "" {
			out = append(out, s)
		}
	}
	if broker == "" {
		return out
	}
	for _, fixed := range api.fixed {
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
func fixedSettings(cfg *Config, deps *Deps) []cluster.Definition {
	number := func(name string, v int64, doc string) cluster.Definition {
		return cluster.Definition{Name: name, Type: cluster.TypeLong, Default: strconv.FormatInt(v, 10), Doc: doc}
	}
	return []cluster.Definition{
		number("broker.id", int64(deps.Self), "The agent's broker id."),
		number("node.id", int64(deps.Self), "The agent's broker id."),
		{Name: "auto.create.topics.enable", Type: cluster.TypeBoolean, Default: strconv.FormatBool(cfg.AutoCreateTopics), Doc: "Whether topics are created when clients ask for them."},
		{Name: "super.users", Type: cluster.TypeString, Default: strings.Join(deps.Security.SuperUsers, ";"), Doc: "Principals that are allowed everything (security.super_users)."},
		{Name: "allow.everyone.if.no.acl.found", Type: cluster.TypeBoolean, Default: strconv.FormatBool(deps.Security.AllowEveryone), Doc: "Whether everyone is allowed what no ACL is for (security.allow_everyone_if_no_acl_found)."},
		{Name: "delete.topic.enable", Type: cluster.TypeBoolean, Default: "true", Doc: "Topics can be deleted."},
		{Name: "log.dirs", Type: cluster.TypeString, Default: deps.DataDir, Doc: "Where the journals lie."},
		number("num.partitions", int64(cfg.DefaultPartitions), "Partitions of a topic that is created without a number."),
		number("default.replication.factor", int64(deps.Replicas), "Members of a journal's ensemble."),
		number("fetch.max.bytes", int64(cfg.FetchMaxBytes), "The most that one fetch answers."),
		number("socket.request.max.bytes", int64(cfg.MaxRequestBytes), "The largest request."),
		number("max.connections", int64(cfg.MaxConnections), "Client connections at a time."),
		number("max.connections.per.ip", int64(cfg.MaxConnectionsPerIP), "Client connections at a time from one address."),
		{Name: "max.connections.per.ip.overrides", Type: cluster.TypeString, Default: strings.Join(cfg.PerIPOverrides, ","), Doc: "Other numbers of connections for some addresses."},
		number("connections.max.idle.ms", cfg.IdleTimeout.Milliseconds(), "After which a silent connection is closed."),
		number("max.incremental.fetch.session.cache.slots", int64(cfg.FetchSessions), "Fetch sessions that are remembered."),
	}
}
