// OffsetCommit, versions 2 to 10: 6 leader epochs (KIP-320), 7 static members (KIP-345),
// 9 groups of the new protocol (KIP-848), 10 topic ids (KIP-848).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/group"
	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata/schema"
)

// maxRetention bounds what old clients may ask for, so that it can be reckoned with.
const maxRetention = 100 * 365 * 24 * time.Hour

// offsetCommit stores what exists of what a client sent, and answers when it is
// durable.
func (g *groupAPIs) offsetCommit(ctx context.Context, c *caller, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	denied := c.check(opRead, onGroup, req.Group)
	commit := group.Commit{MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
		Retention: commitRetention(req), NewErrors: req.Version >= 9}
	var accepted [][]*int16 // where the error codes go of what is committed
	for i := range req.Topics {
		rt, ct, codes := g.commitTopic(ctx, c, req.Version, &req.Topics[i], denied)
		resp.Topics = append(resp.Topics, rt)
		if len(ct.Partitions) > 0 {
			commit.Topics = append(commit.Topics, ct)
			accepted = append(accepted, codes)
		}
	}
	if len(commit.Topics) == 0 {
		return resp
	}
	r := g.groups.Commit(ctx, req.Group, commit)
	for i, codes := range accepted {
		for j, code := range codes {
			err := r.Err
			if err == nil {
				err = r.Errs[i][j]
			}
			*code = groupCode(err)
		}
	}
	return resp
}

// commitRetention is what versions 2 to 4 may ask for; zero is the group's own.
func commitRetention(req *kmsg.OffsetCommitRequest) time.Duration {
	if req.Version > 4 || req.RetentionTimeMillis < 0 {
		return 0
	}
	ms := min(req.RetentionTimeMillis, maxRetention.Milliseconds())
	return time.Duration(max(ms, 1)) * time.Millisecond
}

// commitTopic checks one topic: its answer, what is to be committed, and where
// the codes of that go. denied, if not nil, is why the caller may not commit for the group.
func (g *groupAPIs) commitTopic(ctx context.Context, caller *caller, version int16, t *kmsg.OffsetCommitRequestTopic, denied error) (rt kmsg.OffsetCommitResponseTopic, ct offsets.CommitTopic, codes []*int16) {
	rt = kmsg.NewOffsetCommitResponseTopic()
	rt.Topic, rt.TopicID = t.Topic, t.TopicID
	rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
	var topic *cluster.Topic
	err := denied
	if err == nil {
		topic, err = topicFor(ctx, g.topics, caller, opRead, version >= 10, t.Topic, t.TopicID)
	}
	for i, p := range t.Partitions {
		rp := &rt.Partitions[i]
		*rp = kmsg.NewOffsetCommitResponseTopicPartition()
		rp.Partition = p.Partition
		switch {
		case err != nil:
			rp.ErrorCode = groupCode(err)
			continue
		case p.Partition < 0 || p.Partition >= topic.Partitions:
			rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
			continue
		}
		c := schema.OffsetCommit{Offset: p.Offset, LeaderEpoch: id.NoEpoch, Topic: topic.ID}
		if version >= 6 {
			c.LeaderEpoch = id.Epoch(p.LeaderEpoch)
		}
		if p.Metadata != nil {
			c.Metadata = *p.Metadata
		}
		ct.Topic = topic.Name
		ct.Partitions = append(ct.Partitions, offsets.CommitPartition{Partition: p.Partition, OffsetCommit: c})
		codes = append(codes, &rp.ErrorCode)
	}
	return rt, ct, codes
}
