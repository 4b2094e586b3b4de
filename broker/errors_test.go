package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
)

// An answer's text is about the request; the code's name and its general text stay out.
func TestWordsOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code *kerr.Error
		text string
	}{
		{refuse(kerr.InvalidRequest, "Duplicate topic name."), kerr.InvalidRequest, "Duplicate topic name."},
		{cluster.Refuse(cluster.ErrTopicExists, "Topic '%s' already exists.", "t"), kerr.TopicAlreadyExists, "Topic 't' already exists."},
		{kerr.ElectionNotNeeded, kerr.ElectionNotNeeded, kerr.ElectionNotNeeded.Description},
		{fmt.Errorf("create topic t: %w", cluster.Refuse(cluster.ErrPartitions, "none")), kerr.InvalidPartitions, "create topic t: none"},
	} {
		if codeOf(c.err) != c.code || *said(c.err) != c.text {
			t.Errorf("%v: %v, %q", c.err, codeOf(c.err), *said(c.err))
		}
	}
}

// A request for too many partitions is refused as a whole.
func TestNewPartitionsAreBounded(t *testing.T) {
	api := &topicAPIs{defaultPartitions: 5}
	topics := func(counts ...int32) (out []kmsg.CreateTopicsRequestTopic) {
		for _, n := range counts {
			t := kmsg.NewCreateTopicsRequestTopic()
			t.NumPartitions = n
			out = append(out, t)
		}
		return out
	}
	for _, c := range []struct {
		topics []kmsg.CreateTopicsRequestTopic
		ok     bool
	}{{topics(10_000), true}, {topics(10_001), false}, {topics(5000, 4995, -1), true}, {topics(5000, 4996, -1), false}, {topics(-7, 1<<31-1, 1<<31-1), false}} {
		if err := api.checkTotal(c.topics); (err == nil) != c.ok || err != nil && codeOf(err) != kerr.PolicyViolation {
			t.Errorf("%d topics: %v", len(c.topics), err)
		}
	}
}
