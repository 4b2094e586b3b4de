// CreateTopics, versions 2 to 7: 4 default numbers of partitions and replicas (KIP-464),
// 5 the topic in the answer (KIP-525), 6 THROTTLING_QUOTA_EXCEEDED (KIP-599), 7 topic ids (KIP-516).

package broker

import (
	"context"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
)

func (api *topicAPIs) createTopics(ctx context.Context, c *caller, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	resp := kmsg.NewPtrCreateTopicsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	everything := c.may(opCreate, onCluster, theCluster)
	denied := make([]bool, len(req.Topics))
	permitted := make([]kmsg.CreateTopicsRequestTopic, 0, len(req.Topics))
	for i, t := range req.Topics {
		if denied[i] = !everything && !c.allowed(opCreate, onTopic, t.Topic); !denied[i] {
			permitted = append(permitted, t)
		}
	}
	tooMany := api.checkTotal(permitted)
	quota := c.mutations(req.Version, 6)
	names := map[string]int{}
	var created []*cluster.Topic
	for _, t := range req.Topics {
		names[t.Topic]++
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic = t.Topic
		rt.NumPartitions, rt.ReplicationFactor = -1, -1
		var made *cluster.Topic
		err := tooMany
		switch {
		case names[t.Topic] > 1:
			err = refuse(kerr.InvalidRequest, "Duplicate topic name.")
		case denied[i]:
			err = refuse(kerr.TopicAuthorizationFailed, "Authorization failed.")
		case err == nil:
			made, err = api.createTopic(ctx, c, t, quota, req.ValidateOnly)
		}
		if err != nil {
			rt.ErrorCode, rt.ErrorMessage = codeOf(err).Code, said(err)
		} else {
			api.describeCreated(c, &rt, made)
		}
		resp.Topics = append(resp.Topics, rt)
		if err == nil && !req.ValidateOnly {
			created = append(created, made)
		}
	}
	api.opening.awaitServed(ctx, created...)
	resp.ThrottleMillis = quota.millis()
	return resp
}

// warnOfCompaction logs what the client that made or changed a topic may not know.
func warnOfCompaction(log *slog.Logger, topic string, config schema.Settings) {
	if slices.Contains(cluster.SplitList(config["cleanup.policy"]), "compact") {
		log.Warn("topic has cleanup.policy=compact; compaction is not implemented, all records are kept", "topic", topic, "cleanup.policy", config["cleanup.policy"])
	}
}

// maxNewPartitions is how many partitions one request may create, as in Kafka.
const maxNewPartitions = 10_000

// checkTotal refuses a request for too many partitions as a whole.
func (api *topicAPIs) checkTotal(topics []kmsg.CreateTopicsRequestTopic) error {
	total := 0
	for i := range topics {
		switch t := &topics[i]; {
		case len(t.ReplicaAssignment) > 0:
			total += len(t.ReplicaAssignment)
		case t.NumPartitions == -1:
			total += int(api.defaultPartitions)
		default:
			total += max(int(t.NumPartitions), 0)
		}
	}
	if total > maxNewPartitions {
		return refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")
	}
	return nil
}

// createTopic makes one topic, or checks whether it could be made.
func (api *topicAPIs) createTopic(ctx context.Context, c *caller, t *kmsg.CreateTopicsRequestTopic, quota *mutations, validateOnly bool) (*cluster.Topic, error) {
	partitions, err := api.shape(t)
	if err != nil {
		return nil, err
	}
	config := schema.Settings{}
	for _, c := range t.Configs {
		if c.Value == nil {
			return nil, refuse(kerr.InvalidConfig, "Null value not supported for topic configs: %s", c.Name)
		}
		config[c.Name] = *c.Value
	}
	if quota != nil { // a mistake costs nothing
		if err := api.editor.CheckCreate(t.Topic, partitions, config); err != nil {
			return nil, err
		}
		if err := quota.take(partitions); err != nil {
			return nil, err
		}
	}
	if validateOnly {
		made := schema.Topic{ID: id.NewTopic(api.random), Partitions: partitions, Config: config} // Kafka makes up an id, too
		return &cluster.Topic{Name: t.Topic, Topic: made}, api.editor.CheckCreate(t.Topic, partitions, config)
	}
	made, err := api.editor.CreateTopic(ctx, t.Topic, partitions, config)
	if err != nil {
		return nil, err
	}
	api.audit.Info("topic created", "topic", t.Topic, "partitions", partitions, c.attr())
	warnOfCompaction(api.log, t.Topic, config)
	return made, nil
}

// shape reads the number of partitions. Which agents keep replicas is not the
// topic's affair here: a journal's ensemble keeps all partitions of its owner. A
// replication factor or an assignment must make sense, and is otherwise ignored.
func (api *topicAPIs) shape(t *kmsg.CreateTopicsRequestTopic) (int32, error) {
	if len(t.ReplicaAssignment) > 0 {
		if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
			return 0, refuse(kerr.InvalidRequest, "Both numPartitions or replicationFactor and replicasAssignments were set")
		}
		return api.assigned(t.ReplicaAssignment)
	}
	if t.ReplicationFactor == 0 || t.ReplicationFactor < -1 {
		return 0, refuse(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if n := len(api.view.Agents()); int(t.ReplicationFactor) > max(n, 1) {
		return 0, refuse(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): the target replication factor of %d cannot be reached because only %d broker(s) are registered.",
			t.ReplicationFactor, t.ReplicationFactor, n)
	}
	switch {
	case t.NumPartitions == -1:
		return api.defaultPartitions, nil
	case t.NumPartitions < 1:
		return 0, refuse(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	return t.NumPartitions, nil
}

// assigned checks a manual assignment: partitions from 0 without gaps, to brokers
// that are there.
func (api *topicAPIs) assigned(as []kmsg.CreateTopicsRequestTopicReplicaAssignment) (int32, error) {
	live := map[int32]bool{}
	for _, a := range api.view.Agents() {
		live[int32(a.Broker)] = true
	}
	seen := map[int32]bool{}
	for _, a := range as {
		if seen[a.Partition] || a.Partition < 0 || int(a.Partition) >= len(as) {
			return 0, refuse(kerr.InvalidReplicaAssignment, "Partitions should be a consecutive 0-based integer sequence")
		}
		seen[a.Partition] = true
		if len(a.Replicas) == 0 {
			return 0, refuse(kerr.InvalidReplicaAssignment, "Partition %d has an empty replica list", a.Partition)
		}
		for i, r := range a.Replicas {
			if slices.Contains(a.Replicas[:i], r) {
				return 0, refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once", r)
			}
			if !live[r] {
				return 0, refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered", r)
			}
		}
	}
	return int32(len(as)), nil
}

// replicas is how many agents keep a record: the most that an open journal has.
func (api *topicAPIs) replicas() int {
	n := 1
	for _, e := range api.view.Ensembles() {
		n = max(n, len(e.Replicas))
	}
	return n
}

func (api *topicAPIs) describeCreated(c *caller, rt *kmsg.CreateTopicsResponseTopic, t *cluster.Topic) {
	rt.TopicID = t.ID
	if !c.may(opDescribeConfigs, onTopic, t.Name) {
		rt.ConfigErrorCode = kerr.TopicAuthorizationFailed.Code
		return
	}
	rt.NumPartitions, rt.ReplicationFactor = t.Partitions, int16(api.replicas())
	defaults := api.view.BrokerSettings(api.self.String())
	for i := range cluster.TopicDefinitions() {
		d := &cluster.TopicDefinitions()[i]
		value, from := defaults.Lookup(t.Config, d)
		rc := kmsg.NewCreateTopicsResponseTopicConfig()
		rc.Name, rc.Value, rc.Source = d.Name, &value, int8(sourceOf(from))
		rt.Configs = append(rt.Configs, rc)
	}
}
