// DeleteTopics, versions 1 to 6: 5 messages (KIP-599), 6 topic ids (KIP-516).

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
	wants := req.Topics
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
			t, err = api.opening.topic(ctx, want.Topic == nil, name, want.TopicID)
		}
		if err == nil {
			rt.Topic, rt.TopicID = &t.Name, t.ID
			err = api.editor.DeleteTopic(ctx, t.Name)
		}
		if err != nil {
			rt.ErrorCode, rt.ErrorMessage = codeOf(err).Code, said(err)
		} else {
			api.log.Info("topic deleted", "topic", t.Name, "id", t.ID, c.attr())
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
