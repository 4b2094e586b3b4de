package agent

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestBadReassignments: what Kafka refuses is refused, and nothing is asked for.
func TestBadReassignments(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		topic    string
		index    int32
		replicas []int32
		want     error
	}{
		"unknown topic":     {"u", 0, []int32{1}, kerr.UnknownTopicOrPartition},
		"unknown partition": {"t", 2, []int32{1}, kerr.UnknownTopicOrPartition},
		"negative":          {"t", -1, []int32{1}, kerr.UnknownTopicOrPartition},
		"no replicas":       {"t", 0, []int32{}, kerr.InvalidReplicaAssignment},
		"named twice":       {"t", 0, []int32{1, 1}, kerr.InvalidReplicaAssignment},
		"unknown broker":    {"t", 0, []int32{7}, kerr.InvalidReplicaAssignment},
		"unknown follower":  {"t", 0, []int32{1, 7}, kerr.InvalidReplicaAssignment},
		"nothing to cancel": {"t", 0, nil, kerr.NoReassignmentInProgress},
		"where it is":       {"t", 0, []int32{1}, nil},
	} {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		rt, rp := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		rt.Topic, rp.Partition, rp.Replicas = x.topic, x.index, x.replicas
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(t.Context(), one.client())
		if err != nil {
			t.Fatal(err)
		}
		if got := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); !errors.Is(got, x.want) {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
	if n := len(one.view.Moves()); n != 0 {
		t.Errorf("%d moves are asked for", n)
	}
}

// TestElectLeaders: a partition with a leader needs no election; of all partitions only
// those that have none are told.
func TestElectLeaders(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	ask := func(kind int8, topics []kmsg.ElectLeadersRequestTopic) map[int32]error {
		t.Helper()
		req := kmsg.NewPtrElectLeadersRequest()
		req.ElectionType, req.Topics = kind, topics
		resp, err := req.RequestWith(t.Context(), one.client())
		if err != nil {
			t.Fatal(err)
		}
		out := map[int32]error{}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				out[rp.Partition] = kerr.ErrorForCode(rp.ErrorCode)
			}
		}
		return out
	}
	some := []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0, 5}}}
	if got := ask(0, some); !errors.Is(got[0], kerr.ElectionNotNeeded) || !errors.Is(got[5], kerr.UnknownTopicOrPartition) {
		t.Errorf("preferred: %v", got)
	}
	if got := ask(0, nil); len(got) != 0 {
		t.Errorf("all: %v", got)
	}
	// A partition whose owner is gone and can't be recovered yet: its head names an
	// incarnation whose journal nobody keeps.
	topic, _ := one.view.Topic("t")
	at := id.Partition{Topic: topic.ID, Index: 1}
	j := id.Journal{Writer: 999, Seq: 1}
	lost := schema.Journal{State: schema.JournalOpen, Broker: 9, Ensemble: []id.Store{{9}}, Quorum: 1}
	head := new(schema.Head)
	head.Give(999, 9)
	meta := w.meta.Open()
	defer meta.Close()
	if _, err := meta.Txn(t.Context(), nil, append(schema.StoredHead{Partition: at}.Ops(head), metadata.Put(schema.JournalKey(j), lost.Encode()))...); err != nil {
		t.Fatal(err)
	}
	one.until("it has no leader", func() bool { _, ok := one.view.Owner(at); return !ok })
	if got := ask(0, nil); len(got) != 1 || !errors.Is(got[1], kerr.PreferredLeaderNotAvailable) {
		t.Errorf("all, one without leader: %v", got)
	}
	if got := ask(1, nil); len(got) != 1 || !errors.Is(got[1], kerr.EligibleLeadersNotAvailable) {
		t.Errorf("unclean: %v", got)
	}
}

// TestListReassignments: a move that can't be made yet is listed, with the agent that is
// to get the partition as one that is being added.
func TestListReassignments(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	one.election.stop() // which would drop a move that can't be made
	topic, _ := one.view.Topic("t")
	if err := one.editor.ChangeMoves(t.Context(), map[id.Partition]id.Broker{{Topic: topic.ID}: 7}); err != nil {
		t.Fatal(err)
	}
	for name, only := range map[string][]kmsg.ListPartitionReassignmentsRequestTopic{"all": nil, "one": {{Topic: "t", Partitions: []int32{0}}}} {
		r := one.reassignments(only)
		if len(r) != 1 || len(r[0].Partitions) != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
		p := r[0].Partitions[0]
		if len(p.Replicas) != 2 || p.Replicas[0] != 1 || len(p.AddingReplicas) != 1 || p.AddingReplicas[0] != 7 || len(p.RemovingReplicas) != 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if r := one.reassignments([]kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "t", Partitions: []int32{1}}, {Topic: "u", Partitions: []int32{0}}}); len(r) != 0 {
		t.Errorf("others: %+v", r)
	}
	cancel := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	rt, rp := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	rt.Topic = "t"
	rt.Partitions = append(rt.Partitions, rp)
	cancel.Topics = append(cancel.Topics, rt)
	resp, err := one.client().Broker(int(one.self)).Request(t.Context(), cancel)
	if err != nil || resp.(*kmsg.AlterPartitionAssignmentsResponse).Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("cancel: %+v, %v", resp, err)
	}
	if r := one.reassignments(nil); len(r) != 0 {
		t.Errorf("after that: %+v", r)
	}
}

// reassignments asks which moves are under way; nil is all of them.
func (r *running) reassignments(only []kmsg.ListPartitionReassignmentsRequestTopic) []kmsg.ListPartitionReassignmentsResponseTopic {
	r.t.Helper()
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.Topics = only
	cl := r.client()
	defer cl.Close()
	resp, err := cl.Broker(int(r.self)).Request(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.(*kmsg.ListPartitionReassignmentsResponse).Topics
}
