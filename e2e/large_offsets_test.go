package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLargeOffsets: what a group commits with long texts beside its offsets, as libraries do
// that keep their state there, is stored and found again: many partitions a few at a time,
// and very many at once.
func TestLargeOffsets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topic, err := adm.CreateTopic(t.Context(), 1000, 1, nil, "wide")
	if err != nil {
		t.Fatal(err)
	}
	commit := func(group string, from, to int32) {
		t.Helper()
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = group, -1
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = "wide", topic.ID
		for p := from; p < to; p++ {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			text := beside(p)
			rp.Partition, rp.Offset, rp.Metadata = p, int64(p)+1, &text
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.Topics[0].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				t.Fatalf("partition %d: %v", p.Partition, err)
			}
		}
	}
	for from := int32(0); from < 400; from += 20 {
		commit("few", from, from+20)
	}
	commit("all", 0, 1000)
	check := func() {
		t.Helper()
		for group, n := range map[string]int32{"few": 400, "all": 1000} {
			got, err := adm.FetchOffsets(t.Context(), group)
			if err != nil {
				t.Fatal(err)
			}
			for p := range n {
				if o, ok := got.Lookup("wide", p); !ok || o.At != int64(p)+1 || o.Metadata != beside(p) {
					t.Fatalf("group %s, partition %d: offset %d and %d bytes", group, p, o.At, len(o.Metadata))
				}
			}
		}
	}
	check()
	s.agent.kill()
	s.start()
	check()
}

func beside(p int32) string {
	return strings.Repeat(fmt.Sprintf("%04d", p), 1000)
}
