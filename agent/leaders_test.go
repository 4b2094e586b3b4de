package agent

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
)

// TestMinInSync: acks=all is refused while fewer members live than the topic demands,
// acks=1 is not, and a lower demand is heard at once.
func TestMinInSync(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	two, oneText := "2", "1"
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"min.insync.replicas": &two}, "t"); err != nil {
		t.Fatal(err)
	}
	send := func(acks kgo.Acks) error {
		cl := one.client(kgo.DefaultProduceTopic("t"), kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
		defer cl.Close()
		return cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr()
	}
	if err := send(kgo.AllISRAcks()); !errors.Is(err, kerr.NotEnoughReplicas) {
		t.Errorf("acks=all with 1 of 2 members: %v", err)
	}
	if err := send(kgo.LeaderAck()); err != nil {
		t.Errorf("acks=1: %v", err)
	}
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "min.insync.replicas", Value: &oneText}}, "t"); err != nil {
		t.Fatal(err)
	}
	topic, _ := one.view.Topic("t")
	p := one.owned.Get(id.Partition{Topic: topic.ID})
	one.until("the setting is heard", func() bool { return p.Settings().MinInSync == 1 })
	if err := send(kgo.AllISRAcks()); err != nil {
		t.Errorf("acks=all with 1 of 1 members: %v", err)
	}
}

// TestLeaderHints: an agent that doesn't serve a partition names the one that does,
// with its address (KIP-951); an old epoch is told from one that isn't known yet
// (KIP-320).
func TestLeaderHints(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	two := w.beside(2)
	adm := kadm.NewClient(one.client())
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	topic, _ := one.view.Topic("t")
	at := id.Partition{Topic: topic.ID}
	o, _ := one.view.Owner(at)
	if err := one.editor.ChangeMoves(t.Context(), map[id.Partition]id.Broker{at: 3 - o.Broker}); err != nil {
		t.Fatal(err)
	}
	two.until("moved", func() bool { n, ok := two.view.Owner(at); return ok && n.Broker != o.Broker })
	one.until("moved", func() bool { n, ok := one.view.Owner(at); return ok && n.Broker != o.Broker })
	was, is := one, two
	if o.Broker == 2 {
		was, is = two, one
	}
	is.until("served", func() bool { return is.owned.Get(at) != nil })
	was.until("given up", func() bool { return was.owned.Get(at) == nil }) // it may see its own write before it has acted on it

	fetch := func(epoch int32) *kmsg.FetchRequest {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 1, 0, 1<<20, -1
		ft, fp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		ft.Topic, ft.TopicID = "t", topic.ID
		fp.CurrentLeaderEpoch, fp.PartitionMaxBytes = epoch, 1<<20
		ft.Partitions = append(ft.Partitions, fp)
		req.Topics = append(req.Topics, ft)
		return req
	}
	ask := func(a *running, req kmsg.Request) kmsg.Response {
		t.Helper()
		cl := a.client()
		defer cl.Close()
		resp, err := cl.Broker(int(a.self)).Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	wrong := ask(was, fetch(-1)).(*kmsg.FetchResponse)
	p := wrong.Topics[0].Partitions[0]
	if p.ErrorCode != kerr.NotLeaderForPartition.Code || p.CurrentLeader.LeaderID != int32(is.self) || p.CurrentLeader.LeaderEpoch != 1 {
		t.Errorf("fetch: %+v", p)
	}
	if !hasBroker(wrong.Brokers, int32(is.self)) {
		t.Errorf("fetch names no address of %d: %+v", is.self, wrong.Brokers)
	}
	for epoch, want := range map[int32]*kerr.Error{0: kerr.FencedLeaderEpoch, 1: nil, 2: kerr.UnknownLeaderEpoch} {
		got := ask(is, fetch(epoch)).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(got.ErrorCode); !errors.Is(err, error(want)) && !(want == nil && err == nil) {
			t.Errorf("epoch %d: %v, want %v", epoch, err, want)
		}
		if want == kerr.FencedLeaderEpoch && got.CurrentLeader.LeaderEpoch != 1 {
			t.Errorf("epoch %d: no hint: %+v", epoch, got.CurrentLeader)
		}
	}
	pr := kmsg.NewPtrProduceRequest()
	pr.Acks, pr.TimeoutMillis = -1, 1000
	pt, pp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	pt.Topic, pt.TopicID, pp.Records = "t", topic.ID, make([]byte, 61)
	pt.Partitions = append(pt.Partitions, pp)
	pr.Topics = append(pr.Topics, pt)
	refused := ask(was, pr).(*kmsg.ProduceResponse)
	rp := refused.Topics[0].Partitions[0]
	if rp.ErrorCode != kerr.NotLeaderForPartition.Code || rp.CurrentLeader.LeaderID != int32(is.self) || rp.CurrentLeader.LeaderEpoch != 1 {
		t.Errorf("produce: %+v", rp)
	}
	if len(refused.Brokers) != 1 || refused.Brokers[0].NodeID != int32(is.self) || refused.Brokers[0].Port == 0 {
		t.Errorf("produce names %+v", refused.Brokers)
	}
}

func hasBroker(all []kmsg.FetchResponseBroker, n int32) bool {
	for _, b := range all {
		if b.NodeID == n && b.Port != 0 {
			return true
		}
	}
	return false
}
