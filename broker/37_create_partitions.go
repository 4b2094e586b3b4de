// CreatePartitions, versions 0 to 3: 0 partitions are added (KIP-195), 3
// THROTTLING_QUOTA_EXCEEDED (KIP-599).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/internal/id"
)

func (api *topicAPIs) createPartitions(ctx context.Context, c *caller, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	quota := c.mutations(req.Version, 3)
	for i := range req.Topics {
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = req.Topics[i].Topic
		if err := api.addPartitions(ctx, c, &req.Topics[i], quota, req.ValidateOnly); err != nil {
			rt.ErrorCode, rt.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = quota.millis()
	return resp
}

func (api *topicAPIs) addPartitions(ctx context.Context, c *caller, want *kmsg.CreatePartitionsRequestTopic, quota *mutations, validateOnly bool) error {
	t, err := api.opening.topicFor(ctx, c, opAlter, false, want.Topic, id.Topic{})
	if err != nil {
		return err
	}
	if err := cluster.CheckAddPartitions(t, want.Count); err != nil {
		return err
	}
	if n := len(want.Assignment); n > 0 && int32(n) != want.Count-t.Partitions {
		return refuse(kerr.InvalidReplicaAssignment, "Increasing the number of partitions by %d but %d assignments provided", want.Count-t.Partitions, n)
	}
	if err := quota.take(want.Count - t.Partitions); err != nil || validateOnly {
		return err
	}
	if err := api.editor.AddPartitions(ctx, want.Topic, want.Count); err != nil {
		return err
	}
	api.audit.Info("partitions added", "topic", want.Topic, "before", t.Partitions, "partitions", want.Count, c.attr())
	if t, err = api.opening.topic(ctx, false, want.Topic, id.Topic{}); err == nil {
		api.opening.awaitServed(ctx, t)
	}
	return nil
}
