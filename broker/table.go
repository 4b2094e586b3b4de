package broker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
)

// api is one row of the table that drives dispatch, ApiVersions, metrics and
// docs/apis.md. The ranges are Apache Kafka 4.3's. What is advertised works.
// ConsumerGroupHeartbeat is not there to refuse: clients that find it (franz-go's own
// tests) count on groups of the new protocol.
type api struct {
	key      kmsg.Key
	min, max int16
	// serve answers a request; nil is no answer. It runs on the connection's reading
	// goroutine: the next request of the connection waits for it.
	serve func(ctx context.Context, c *caller, req kmsg.Request) kmsg.Response
	// raw, instead of serve, queues its own answer, so that requests of one
	// connection can overlap.
	raw func(ctx context.Context, c *conn, r *request) error
	// waits means that serve waits for other clients. What it keeps of a request meanwhile
	// is little, or counted elsewhere: the memory for decoding is given back before.
	waits bool
	// stores means that serve mostly waits for the metadata store: that isn't work on the
	// request.
	stores bool
	// most is how large a request may be; nil is max_other_request_bytes.
	most func(*Config) int
	// check, if not nil, walks through a request before it is decoded, so that its counts
	// are known to be true, and decoding takes little more memory than its bytes.
	check func(body []byte, version int16) error
	// needs lists what the caller must be allowed.
	needs []access
	note  string // for docs/apis.md
}

// withoutACLs is the note of the APIs of ACLs.
const withoutACLs = "with security.authorizer none it answers SECURITY_DISABLED, as Kafka without an authorizer"

// withoutTokens is the note of the APIs of delegation tokens.
const withoutTokens = "without security.delegation_tokens.secret_file it answers DELEGATION_TOKEN_AUTH_DISABLED"

// configKinds is the note of the APIs of settings.
const configKinds = "topic, broker, broker logger (root only; not by AlterConfigs), client metrics, group; a setting without effect says so in its documentation; those of groups have none"

// limit is the largest request of the API, in bytes.
func (a *api) limit(c *Config) int {
	if a.most == nil {
		return c.MaxOtherBytes
	}
	return a.most(c)
}

// limitSetting names the setting that limit goes by.
func (a *api) limitSetting() string {
	switch {
	case a.key == kmsg.OffsetCommit:
		return "kafka.max_commit_bytes"
	case a.most == nil:
		return "kafka.max_other_request_bytes"
	}
	return "kafka.max_request_bytes"
}

// on adapts a handler of one request type.
func on[Req kmsg.Request, Resp kmsg.Response](f func(context.Context, *caller, Req) Resp) func(context.Context, *caller, kmsg.Request) kmsg.Response {
	return func(ctx context.Context, c *caller, req kmsg.Request) kmsg.Response {
		return f(ctx, c, req.(Req))
	}
}

// apiTable is the APIs that are served, by key.
type apiTable map[int16]*api

// newTable makes the handlers and binds them to their APIs.
func newTable(cfg *Config, deps *Deps, m *metrics, auth *authorizer) apiTable {
	o := newOpening(deps)
	d := &directory{view: deps.View, partitions: deps.Partitions, self: deps.Self}
	produce := &produceAPI{o, d, deps.View, deps.Journal, cfg.MaxThrottle, m}
	fetch := &fetchAPI{o, d, deps.View, newSessions(cfg.FetchSessions, cfg.SessionPartitions, time.Now, deps.Random), deps.TierShare, cfg.FetchMaxBytes, m}
	logs := &logAPIs{o}
	push := newTelemetry(deps)
	dirs := &logDirAPI{o, deps.View, deps.Partitions, deps.Journal, deps.DataDir}
	topics := &topicAPIs{o, deps.View, deps.Editor, deps.Random, deps.Self, cfg.DefaultPartitions, deps.Log, deps.Audit}
	configs := &configAPIs{o, deps.View, deps.Editor, deps.Self, fixedSettings(cfg, deps), deps.LogLevel, deps.Log, deps.Audit}
	meta := &metadataAPIs{o, d, deps.View, topics, cfg.AutoCreateTopics, deps.ClusterID}
	leaders := &leaderAPIs{o, d, deps.View, deps.Editor, deps.Audit}
	users := &userAPIs{cluster.NewUsers(deps.View), deps.Editor, deps.Audit}
	producers := &producerIDs{store: deps.Store, log: deps.Log}
	acls := &aclAPIs{auth, deps.Editor, deps.Audit}
	quotas := &quotaAPIs{deps.View, deps.Editor, deps.Audit}
	tokens := newTokenAPIs(deps, tokenAnswerBytes)
	table := apiTable{}
	features := &featureAPIs{table, deps.View, deps.Editor, deps.Audit}
	rows := []*api{
		{key: kmsg.Produce, min: 0, max: 13, needs: []access{{opWrite, onTransactionalID}, {opWrite, onTopic}}, raw: produce.produce, most: func(c *Config) int { return c.MaxRequestBytes }, note: "versions 0 to 2 are refused, as by Kafka 4; no transactions"},
		{key: kmsg.Fetch, min: 4, max: 18, needs: []access{{opRead, onTopic}}, raw: fetch.fetch, note: "sessions (KIP-227), topic ids, history from the tier"},
		{key: kmsg.ListOffsets, min: 1, max: 11, needs: []access{{opDescribe, onTopic}}, serve: on(logs.listOffsets)},
		{key: kmsg.Metadata, min: 0, max: 13, needs: []access{{opDescribe, onTopic}, {opCreate, onCluster}, {opCreate, onTopic | instead}, {opDescribe, onCluster}}, serve: on(meta.metadata)},
		{key: kmsg.SASLHandshake, min: 0, max: 1, raw: saslHandshake},
		{key: kmsg.SASLAuthenticate, min: 0, max: 2, raw: saslAuthenticate},
		{key: kmsg.ApiVersions, min: 0, max: 4, serve: on(features.apiVersions)},
		{key: kmsg.CreateTopics, min: 2, max: 7, needs: []access{{opCreate, onCluster}, {opCreate, onTopic | instead}, {opDescribeConfigs, onTopic}}, serve: on(topics.createTopics), stores: true},
		{key: kmsg.DeleteTopics, min: 1, max: 6, needs: []access{{opDelete, onCluster}, {opDelete, onTopic | instead}, {opDescribe, onTopic}}, serve: on(topics.deleteTopics), stores: true},
		{key: kmsg.DeleteRecords, min: 0, max: 2, needs: []access{{opDelete, onTopic}}, serve: on(logs.deleteRecords), stores: true},
		{key: kmsg.InitProducerID, min: 0, max: 5, needs: []access{{opWrite, onTransactionalID}, {opIdempotentWrite, onCluster}, {opWrite, onTopic | instead}}, serve: on(producers.initProducerID), stores: true, note: "idempotent producers; no transactional ids"},
		{key: kmsg.OffsetForLeaderEpoch, min: 2, max: 4, needs: []access{{opClusterAction, onCluster}, {opDescribe, onTopic | instead}}, serve: on(logs.offsetForLeaderEpoch)},
		{key: kmsg.DescribeACLs, min: 1, max: 3, needs: []access{{opDescribe, onCluster}}, serve: on(acls.describeACLs), note: withoutACLs},
		{key: kmsg.CreateACLs, min: 1, max: 3, needs: []access{{opAlter, onCluster}}, serve: on(acls.createACLs), stores: true, note: withoutACLs},
		{key: kmsg.DeleteACLs, min: 1, max: 3, needs: []access{{opAlter, onCluster}}, serve: on(acls.deleteACLs), stores: true, note: withoutACLs},
		{key: kmsg.DescribeConfigs, min: 1, max: 4, needs: []access{{opDescribeConfigs, onTopic}, {opDescribeConfigs, onGroup}, {opDescribeConfigs, onCluster}}, serve: on(configs.describeConfigs), note: configKinds},
		{key: kmsg.AlterConfigs, min: 0, max: 2, needs: []access{{opAlterConfigs, onTopic}, {opAlterConfigs, onGroup}, {opAlterConfigs, onCluster}}, serve: on(configs.alterConfigs), stores: true, note: configKinds},
		{key: kmsg.IncrementalAlterConfigs, min: 0, max: 1, needs: []access{{opAlterConfigs, onTopic}, {opAlterConfigs, onGroup}, {opAlterConfigs, onCluster}}, serve: on(configs.incrementalAlterConfigs), stores: true, note: configKinds},
		{key: kmsg.DescribeLogDirs, min: 1, max: 5, needs: []access{{opDescribe, onCluster}}, serve: on(dirs.describeLogDirs), note: "the journal directory and the tier, each as a log dir"},
		{key: kmsg.CreatePartitions, min: 0, max: 3, needs: []access{{opAlter, onTopic}}, serve: on(topics.createPartitions), stores: true},
		{key: kmsg.ElectLeaders, min: 0, max: 2, needs: []access{{opAlter, onCluster}}, serve: on(leaders.electLeaders), note: "a partition's first replica is always its leader: no election is needed"},
		{key: kmsg.AlterPartitionAssignments, min: 0, max: 1, needs: []access{{opAlter, onCluster}}, serve: on(leaders.alterPartitionReassignments), stores: true, note: "AlterPartitionReassignments: the first replica becomes the leader, its agent's journal says which the others are"},
		{key: kmsg.ListPartitionReassignments, min: 0, max: 0, needs: []access{{opDescribe, onCluster}}, serve: on(leaders.listPartitionReassignments)},
		{key: kmsg.CreateDelegationToken, min: 1, max: 3, needs: []access{{opCreateTokens, onUser}}, serve: on(tokens.createDelegationToken), stores: true, note: withoutTokens + "; a token for oneself needs nothing"},
		{key: kmsg.RenewDelegationToken, min: 1, max: 2, serve: on(tokens.renewDelegationToken), stores: true, note: "the token's owner and its renewers may"},
		{key: kmsg.ExpireDelegationToken, min: 1, max: 2, serve: on(tokens.expireDelegationToken), stores: true, note: "the token's owner and its renewers may"},
		{key: kmsg.DescribeDelegationToken, min: 1, max: 3, needs: []access{{opDescribe, onDelegationToken}, {opDescribeTokens, onUser | instead}}, serve: tokens.describeDelegationToken, note: "owners, renewers and who asked for a token see it without"},
		{key: kmsg.DescribeClientQuotas, min: 0, max: 1, needs: []access{{opDescribeConfigs, onCluster}}, serve: on(quotas.describeClientQuotas)},
		{key: kmsg.AlterClientQuotas, min: 0, max: 1, needs: []access{{opAlterConfigs, onCluster}}, serve: on(quotas.alterClientQuotas), stores: true, note: "addresses are IP addresses, not names of hosts"},
		{key: kmsg.DescribeUserSCRAMCredentials, min: 0, max: 0, needs: []access{{opDescribe, onCluster}}, serve: on(users.describeUserScramCredentials)},
		{key: kmsg.AlterUserSCRAMCredentials, min: 0, max: 0, needs: []access{{opAlter, onCluster}}, serve: on(users.alterUserScramCredentials), stores: true},
		{key: kmsg.UpdateFeatures, min: 0, max: 2, needs: []access{{opAlter, onCluster}}, serve: on(features.updateFeatures), stores: true, note: "the feature is varve.version, which only rises; varve cluster finalize"},
		{key: kmsg.DescribeCluster, min: 0, max: 2, needs: []access{{opDescribe, onCluster}}, serve: on(meta.describeCluster)},
		{key: kmsg.DescribeProducers, min: 0, max: 0, needs: []access{{opRead, onTopic}}, serve: on(logs.describeProducers)},
		{key: kmsg.GetTelemetrySubscriptions, min: 0, max: 0, serve: on(push.getTelemetrySubscriptions), note: "every client may"},
		{key: kmsg.PushTelemetry, min: 0, max: 0, serve: on(push.pushTelemetry), note: "every client may; values are cumulative"},
		{key: kmsg.ListConfigResources, min: 0, max: 1, needs: []access{{opDescribeConfigs, onCluster}}, serve: on(configs.listConfigResources)},
		{key: kmsg.DescribeTopicPartitions, min: 0, max: 0, needs: []access{{opDescribe, onTopic}}, serve: on(meta.describeTopicPartitions)},
	}
	rows = append(rows, groupTable(&groupAPIs{deps.Groups, o, d, deps.Audit})...)
	for _, a := range rows {
		table[int16(a.key)] = a
	}
	return table
}

// TableRow is an API that is served, for docs/apis.md.
type TableRow struct {
	Key      int16
	Name     string
	Min, Max int16  // versions
	Needs    string // what the caller must be allowed
	Note     string
}

// Table lists the APIs that every broker serves, in order of keys.
func Table() []TableRow {
	var out []TableRow
	for _, a := range newTable(&Config{}, &Deps{}, nil, nil).rows() {
		out = append(out, TableRow{int16(a.key), a.key.Name(), a.min, a.max, needed(a.needs), a.note})
	}
	return out
}

// rows returns the table in order of keys.
func (t apiTable) rows() []*api {
	var rows []*api
	for _, a := range t {
		rows = append(rows, a)
	}
	slices.SortFunc(rows, func(x, y *api) int { return cmp.Compare(x.key, y.key) })
	return rows
}

// flexible reports whether a request of this version has tagged fields in its
// header. Versions that are not served don't matter: they get no further.
func (t apiTable) flexible(key, version int16) bool {
	a := t[key]
	if a == nil || version < a.min || version > a.max {
		return false
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	return req.IsFlexible()
}
