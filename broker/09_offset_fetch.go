// OffsetFetch, versions 1 to 10: 2 all offsets of a group, 5 leader epochs (KIP-320), 7
// only stable offsets (KIP-447), 8 several groups (KIP-709), 9 groups of the new protocol
// (KIP-848), 10 topic ids (KIP-848).

package broker

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/group/offsets"
	"varve/internal/id"
)

// offsetFetch reads committed offsets: of one group up to version 7, of many
// from version 8. A group that does not exist has none.
func (g *groupAPIs) offsetFetch(ctx context.Context, c *caller, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version < 8 {
		g.fetchOne(ctx, c, req, resp)
		return resp
	}
	for i := range req.Groups {
		resp.Groups = append(resp.Groups, g.fetchGroup(ctx, c, req, &req.Groups[i]))
	}
	return resp
}

// fetchCode is a group's code. Consumers before 3.9 know no
// COORDINATOR_NOT_AVAILABLE here; NOT_COORDINATOR makes all of them retry.
func fetchCode(err error) int16 {
	code := groupCode(err)
	if code == kerr.CoordinatorNotAvailable.Code {
		return kerr.NotCoordinator.Code
	}
	return code
}

// fetchOne serves versions 1 to 7.
func (g *groupAPIs) fetchOne(ctx context.Context, c *caller, req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	var wanted []offsets.TopicPartitions
	if req.Topics != nil {
		wanted = []offsets.TopicPartitions{}
	}
	var denied []offsets.TopicPartitions
	err := c.check(opDescribe, onGroup, req.Group)
	for _, t := range req.Topics {
		w := offsets.TopicPartitions{Topic: t.Topic, Partitions: t.Partitions}
		if err != nil || c.allowed(opDescribe, onTopic, t.Topic) {
			wanted = append(wanted, w)
		} else {
			denied = append(denied, w)
		}
	}
	var fetched []offsets.FetchedTopic
	if err == nil {
		fetched, err = g.groups.Fetch(ctx, req.Group, wanted, req.RequireStable)
	}
	if err != nil && req.Version >= 2 {
		resp.ErrorCode = fetchCode(err)
		return
	}
	if err != nil {
		fetched = unfetched(wanted)
	}
	if wanted == nil { // all
		fetched = slices.DeleteFunc(fetched, func(t offsets.FetchedTopic) bool { return !c.may(opDescribe, onTopic, t.Topic) })
	}
	resp.Topics = append(fetchedTopics(fetched, err), fetchedTopics(unfetched(denied), kerr.TopicAuthorizationFailed)...)
}

// fetchedTopics makes the answer of versions 1 to 7; err, if not nil, is that of all partitions.
func fetchedTopics(fetched []offsets.FetchedTopic, err error) (out []kmsg.OffsetFetchResponseTopic) {
	for _, t := range fetched {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.Partition, p.Offset, p.LeaderEpoch, &p.Metadata
			rp.ErrorCode = fetchCode(err)
			rt.Partitions = append(rt.Partitions, rp)
		}
		out = append(out, rt)
	}
	return out
}

// unfetched are no offsets for all that was asked for.
func unfetched(wanted []offsets.TopicPartitions) []offsets.FetchedTopic {
	out := make([]offsets.FetchedTopic, len(wanted))
	for i, t := range wanted {
		out[i].Topic = t.Topic
		for _, index := range t.Partitions {
			out[i].Partitions = append(out[i].Partitions, offsets.Fetched{Partition: index, Offset: -1, LeaderEpoch: -1})
		}
	}
	return out
}

// fetchGroup serves one group of version 8 and later.
func (g *groupAPIs) fetchGroup(ctx context.Context, c *caller, req *kmsg.OffsetFetchRequest, rg *kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = rg.Group
	if err := c.check(opDescribe, onGroup, rg.Group); err != nil {
		out.ErrorCode = fetchCode(err)
		return out
	}
	byID := req.Version >= 10
	var wanted []offsets.TopicPartitions
	var unknown []kmsg.OffsetFetchResponseGroupTopic
	if rg.Topics != nil {
		wanted = []offsets.TopicPartitions{}
	}
	for i := range rg.Topics {
		t := &rg.Topics[i]
		name := t.Topic
		if byID {
			// By name also a topic that is gone may be asked for.
			topic, err := g.topics.topic(ctx, true, "", t.TopicID)
			if err != nil {
				unknown = append(unknown, fetchUnknown(t, err))
				continue
			}
			name = topic.Name
		}
		if err := c.check(opDescribe, onTopic, name); err != nil {
			unknown = append(unknown, fetchUnknown(t, err))
			continue
		}
		wanted = append(wanted, offsets.TopicPartitions{Topic: name, Partitions: t.Partitions})
	}
	fetched, err := g.groups.Fetch(ctx, rg.Group, wanted, req.RequireStable)
	if err != nil {
		out.ErrorCode = fetchCode(err)
		return out
	}
	for _, t := range fetched {
		if rg.Topics == nil && !c.may(opDescribe, onTopic, t.Topic) {
			continue
		}
		if rt, err := g.fetchedTopic(ctx, byID, t); err == nil {
			out.Topics = append(out.Topics, rt)
		}
	}
	out.Topics = append(out.Topics, unknown...)
	return out
}

// errNoID: a topic of which offsets are kept has no id any more.
var errNoID = errors.New("topic is gone")

func (g *groupAPIs) fetchedTopic(ctx context.Context, byID bool, t offsets.FetchedTopic) (kmsg.OffsetFetchResponseGroupTopic, error) {
	rt := kmsg.NewOffsetFetchResponseGroupTopic()
	rt.Topic = t.Topic
	if byID {
		topic, err := g.topics.topic(ctx, false, t.Topic, id.Topic{})
		if err != nil {
			return rt, errNoID
		}
		rt.TopicID = topic.ID
	}
	for _, p := range t.Partitions {
		rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.Partition, p.Offset, p.LeaderEpoch, &p.Metadata
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt, nil
}

func fetchUnknown(t *kmsg.OffsetFetchRequestGroupTopic, err error) kmsg.OffsetFetchResponseGroupTopic {
	rt := kmsg.NewOffsetFetchResponseGroupTopic()
	rt.Topic, rt.TopicID = t.Topic, t.TopicID
	for _, index := range t.Partitions {
		rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = index, -1, -1, new(string)
		rp.ErrorCode = groupCode(err)
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt
}
