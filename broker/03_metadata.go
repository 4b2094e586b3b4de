// Metadata, versions 0 to 13: 4 creation of topics can be declined, 5 offline replicas
// (KIP-112), 7 leader epochs (KIP-320), 8 authorized operations (KIP-430), 10 and 12
// topic ids (KIP-516), 11 no operations on the cluster (KIP-700), 13 an error of the
// whole answer (KIP-1102).

package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

// noOperations means that authorized operations were not asked for.
const noOperations = -2147483648

// metadataAPIs serves what describes the cluster and its topics.
type metadataAPIs struct {
	opening    *opening
	directory  *directory
	view       *cluster.View
	topics     *topicAPIs
	autoCreate bool // topics that a client asks for
	clusterID  string
}

func (api *metadataAPIs) metadata(ctx context.Context, c *caller, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	resp.Version = req.Version
	for _, a := range api.view.Agents() {
		if host, port, rack, ok := pick(a, c.listener, c.reached); ok {
			n := kmsg.NewMetadataResponseBroker()
			n.NodeID, n.Host, n.Port, n.Rack = int32(a.Broker), host, port, rack
			resp.Brokers = append(resp.Brokers, n)
		}
	}
	resp.ClusterID = &api.clusterID
	resp.ControllerID = api.directory.controller()
	resp.AuthorizedOperations = noOperations
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations(c)
	}
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		for _, t := range api.view.Topics() {
			if c.may(opDescribe, onTopic, t.Name) {
				resp.Topics = append(resp.Topics, api.authorized(c, req, api.topicMetadata(t)))
			}
		}
		return resp
	}
	ctx, cancel := context.WithTimeout(ctx, createPatience)
	defer cancel()
	create := api.autoCreate && (req.Version < 4 || req.AllowAutoTopicCreation)
	for i := range req.Topics {
		resp.Topics = append(resp.Topics, api.authorized(c, req, api.oneTopic(ctx, c, req.Version, &req.Topics[i], create)))
	}
	return resp
}

// authorized adds what the caller may do with a topic, if it asks for that.
func (api *metadataAPIs) authorized(c *caller, req *kmsg.MetadataRequest, t kmsg.MetadataResponseTopic) kmsg.MetadataResponseTopic {
	if req.IncludeTopicAuthorizedOperations && t.Topic != nil && t.ErrorCode != kerr.TopicAuthorizationFailed.Code {
		t.AuthorizedOperations = c.operations(onTopic, *t.Topic)
	}
	return t
}

// createPatience bounds all that one metadata request creates: with etcd away the
// known topics must still be answered for.
const createPatience = 3 * time.Second

// oneTopic answers for a topic that was asked for by name or id.
func (api *metadataAPIs) oneTopic(ctx context.Context, c *caller, version int16, want *kmsg.MetadataRequestTopic, create bool) kmsg.MetadataResponseTopic {
	byID := want.Topic == nil
	var name string
	if !byID {
		name = *want.Topic
	}
	t, err := api.opening.topicFor(ctx, c, opDescribe, byID, name, want.TopicID)
	if create && errors.Is(err, kerr.UnknownTopicOrPartition) && !mayCreate(c, name) {
		err = kerr.TopicAuthorizationFailed
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) && (cluster.CheckTopicName(name) != nil || cluster.IsInternal(name)) {
		err = kerr.InvalidTopicException
	} else if errors.Is(err, kerr.UnknownTopicOrPartition) && create {
		t, err = api.topics.autoCreate(ctx, c, name)
		if err != nil && ctx.Err() != nil {
			err = kerr.LeaderNotAvailable // again later
		}
	}
	if err == nil {
		return api.topicMetadata(t)
	}
	n := kmsg.NewMetadataResponseTopic()
	n.ErrorCode = codeOf(err).Code
	n.Topic, n.TopicID, n.AuthorizedOperations = want.Topic, want.TopicID, noOperations
	if version < 12 && n.Topic == nil {
		n.Topic = new(string)
	}
	return n
}

// mayCreate reports whether the caller may create a topic of that name.
func mayCreate(c *caller, name string) bool {
	return c.may(opCreate, onCluster, theCluster) || c.allowed(opCreate, onTopic, name)
}

// autoCreate makes a topic with the defaults; a race with someone else who does
// is won either way. A client that asks for a topic which was just deleted may expect to see that
// it is gone: as in Kafka, which shows no new topic at once, it is answered to ask again.
func (api *topicAPIs) autoCreate(ctx context.Context, c *caller, name string) (*cluster.Topic, error) {
	if err := c.mutations(0, 0).take(api.defaultPartitions); err != nil {
		return nil, kerr.UnknownTopicOrPartition // as by Kafka; clients ask again
	}
	deleted := api.justDeleted(name)
	t, err := api.editor.CreateTopic(ctx, name, api.defaultPartitions, nil)
	if errors.Is(err, cluster.ErrTopicExists) {
		return api.opening.topic(ctx, false, name, id.Topic{})
	}
	if err != nil {
		if errors.Is(err, cluster.ErrTopicName) {
			return nil, kerr.InvalidTopicException
		}
		return nil, err
	}
	api.audit.Info("topic created automatically", "topic", name, "partitions", t.Partitions, c.attr())
	api.opening.awaitServed(ctx, t)
	if deleted {
		return nil, kerr.LeaderNotAvailable
	}
	return t, nil
}

// justDeleted reports whether a topic of that name was deleted within the last few seconds.
func (api *topicAPIs) justDeleted(name string) bool {
	for _, d := range api.view.Deleted() {
		if d.Name == name && time.Since(d.Deleted) < 5*time.Second {
			return true
		}
	}
	return false
}

func (api *metadataAPIs) topicMetadata(t *cluster.Topic) kmsg.MetadataResponseTopic {
	n := kmsg.NewMetadataResponseTopic()
	n.Topic, n.TopicID, n.AuthorizedOperations = &t.Name, t.ID, noOperations
	n.IsInternal = false
	n.Partitions = make([]kmsg.MetadataResponseTopicPartition, t.Partitions)
	ensembles := api.view.Ensembles()
	for i := range n.Partitions {
		n.Partitions[i] = api.directory.partitionMetadata(id.Partition{Topic: t.ID, Index: int32(i)}, ensembles)
	}
	return n
}
