// DeleteTopics, versions 1 to 6: 5 messages and THROTTLING_QUOTA_EXCEEDED (KIP-599), 6 topic ids (KIP-516).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

func (api *topicAPIs) deleteTopics(ctx context.Context, c *caller, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	everything := c.may(opDelete, onCluster, theCluster)
	wants := req.Topics
	quota := c.mutations(req.Version, 5)
	for _, name := range req.TopicNames {
		wants = append(wants, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	for _, want := range wants {
		rt := kmsg.NewDeleteTopicsResponseTopic()
		rt.Topic, rt.TopicID = want.Topic, want.TopicID
		var name string
		if want.Topic != nil {
			name = *want.Topic
		}
		var t *cluster.Topic
		err := error(kerr.InvalidRequest)
		if want.Topic == nil || want.TopicID == (id.Topic{}) {
			t, err = api.toDelete(ctx, c, everything, want.Topic == nil, name, want.TopicID)
		}
		if t != nil {
			rt.Topic, rt.TopicID = &t.Name, t.ID
		}
		if err == nil {
			err = quota.take(t.Partitions)
		}
		if err == nil {
			err = api.editor.DeleteTopic(ctx, t.Name)
		}
		if err != nil {
			rt.ErrorCode, rt.ErrorMessage = codeOf(err).Code, said(err)
		} else {
			api.audit.Info("topic deleted", "topic", t.Name, "id", t.ID, c.attr())
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = quota.millis()
	return resp
}

// toDelete returns a topic that the caller may delete. With an error it returns the topic
// only if the caller asked for it by id and may know its name.
func (api *topicAPIs) toDelete(ctx context.Context, c *caller, everything, byID bool, name string, topic id.Topic) (*cluster.Topic, error) {
	if !everything && !byID {
		if err := c.check(opDescribe, onTopic, name); err != nil {
			return nil, err
		}
	}
	t, err := api.opening.topic(ctx, byID, name, topic)
	switch {
	case err != nil:
		return nil, err
	case everything:
		return t, nil
	}
	if err = c.check(opDelete, onTopic, t.Name); err != nil && (!byID || !c.may(opDescribe, onTopic, t.Name)) {
		return nil, err
	}
	return t, err
}
