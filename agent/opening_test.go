package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/health"
	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
)

// use sends a produce, a fetch and a ListOffsets request for a partition, each once, and
// returns the first error.
func (r *running) use(topic kadm.CreateTopicResponse, index int32) error {
	r.t.Helper()
	cl := r.client()
	defer cl.Close()
	ask := func(req kmsg.Request) kmsg.Response {
		resp, err := cl.SeedBrokers()[0].Request(r.t.Context(), req)
		if err != nil {
			r.t.Fatal(err)
		}
		return resp
	}
	batch, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	p := kmsg.NewPtrProduceRequest()
	p.Acks, p.TimeoutMillis = -1, 10_000
	p.Topics = []kmsg.ProduceRequestTopic{{Topic: topic.Topic, TopicID: topic.ID, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: index, Records: batch}}}}
	if code := ask(p).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		return fmt.Errorf("produce: %w", kerr.ErrorForCode(code))
	}
	f := kmsg.NewPtrFetchRequest()
	f.MaxBytes, f.SessionEpoch = 1<<20, -1
	ft, fp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	ft.Topic, ft.TopicID, fp.Partition, fp.PartitionMaxBytes, fp.CurrentLeaderEpoch = topic.Topic, topic.ID, index, 1<<20, -1
	ft.Partitions = append(ft.Partitions, fp)
	f.Topics = append(f.Topics, ft)
	if code := ask(f).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		return fmt.Errorf("fetch: %w", kerr.ErrorForCode(code))
	}
	l := kmsg.NewPtrListOffsetsRequest()
	lt, lp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	lt.Topic, lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = topic.Topic, index, -1, -1
	lt.Partitions = append(lt.Partitions, lp)
	l.Topics = append(l.Topics, lt)
	if code := ask(l).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		return fmt.Errorf("list offsets: %w", kerr.ErrorForCode(code))
	}
	return nil
}

// slowly makes an agent that starts read heads only after a while, so that it is named as
// owner long before it serves.
func (w *world) slowly(by time.Duration) {
	w.meddle = &meddled{read: func(key string) error {
		if len(key) > len(schema.PrefixHeads) && key[:len(schema.PrefixHeads)] == schema.PrefixHeads {
			time.Sleep(by)
		}
		return nil
	}}
}

// TestTopicsServeAtOnce: as soon as CreateTopics has answered, the leaders that metadata
// names serve, also if opening a partition takes a while. Nobody has to try again.
func TestTopicsServeAtOnce(t *testing.T) {
	w := newWorld(t)
	w.slowly(20 * time.Millisecond)
	a := w.start()
	adm := kadm.NewClient(a.client())
	for n := range 10 {
		var names []string
		for i := range 10 {
			names = append(names, fmt.Sprint("t-", n, "-", i))
		}
		created, err := adm.CreateTopics(t.Context(), 2, 1, nil, names...)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := adm.Metadata(t.Context(), names...)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			for index := range int32(2) {
				if p := shown.Topics[name].Partitions[index]; p.Err != nil || p.Leader != 1 {
					t.Errorf("%s/%d: leader %d, %v", name, index, p.Leader, p.Err)
				}
				if err := a.use(created[name], index); err != nil {
					t.Errorf("%s/%d: %v", name, index, err)
				}
			}
		}
	}
}

// TestOwnersServeAtOnce: an agent that was named as owner to a client holds its requests
// until it serves, although it hasn't heard of the topic, or of its being the owner, yet.
// An agent that isn't the owner refuses at once.
func TestOwnersServeAtOnce(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	behind := *w
	behind.slowly(20 * time.Millisecond) // well below what makes etcd too slow to be asked (broker.askSlow)
	two := behind.beside(2)
	adm := kadm.NewClient(one.client())
	for n := range 10 {
		name := fmt.Sprint("t-", n)
		made, err := adm.CreateTopics(t.Context(), 4, 1, nil, name)
		if err != nil {
			t.Fatal(err)
		}
		created := made[name]
		for index := range int32(4) {
			at := id.Partition{Topic: id.Topic(created.ID), Index: index}
			o, ok := one.view.Owner(at)
			if !ok {
				t.Fatalf("%v has no owner", at)
			}
			if o.Broker == 2 {
				if err := two.use(created, index); err != nil {
					t.Errorf("%s/%d: its owner says %v", name, index, err)
				}
				continue
			}
			if err := two.editor.ChangeMoves(t.Context(), map[id.Partition]id.Broker{at: 2}); err != nil {
				t.Fatal(err)
			}
			one.until("moved", func() bool { o, ok := one.view.Owner(at); return ok && o.Broker == 2 })
			if err := two.use(created, index); err != nil {
				t.Errorf("%s/%d: its new owner says %v", name, index, err)
			}
			if err := one.use(created, index); err == nil {
				t.Errorf("%s/%d: its former owner serves", name, index)
			}
		}
	}
}

// TestHealthCountsWhatIsBeingOpened: while the agent that partitions were given to doesn't serve them yet, the cluster isn't
// healthy: who waits for that goes on when records are taken.
func TestHealthCountsWhatIsBeingOpened(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	opens := make(chan struct{}) // closed: heads can be read
	behind := *w
	behind.meddle = &meddled{read: func(key string) error {
		if strings.HasPrefix(key, schema.PrefixHeads) {
			<-opens
		}
		return nil
	}}
	two := behind.beside(2)
	created, err := kadm.NewClient(one.client()).CreateTopic(t.Context(), 4, 1, nil, "t")
	if err != nil {
		t.Fatal(err)
	}
	opening := func() (lines []string) {
		for _, c := range two.console.Load().Health(t.Context()).Checks {
			if strings.Contains(c.Text, "being opened by agent 2") && c.Level == health.Degraded {
				lines = append(lines, c.Text)
			}
		}
		return lines
	}
	all := map[id.Partition]id.Broker{}
	for index := range int32(4) {
		all[id.Partition{Topic: id.Topic(created.ID), Index: index}] = 2
	}
	if err := one.editor.ChangeMoves(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	two.until("named as owner", func() bool { return len(two.view.OwnedBy(2)) > 0 })
	if lines := opening(); len(lines) == 0 {
		t.Error("healthy with partitions that nobody serves")
	}
	close(opens)
	two.until("open", func() bool { return two.owned.Len() == 4 })
	if lines := opening(); len(lines) != 0 {
		t.Errorf("all are open, and it says %q", lines)
	}
}
