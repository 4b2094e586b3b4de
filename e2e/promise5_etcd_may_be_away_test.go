package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestEtcdAway: produce, fetch and heartbeats go on; commits work again later; the
// owner keeps what nobody took, also when its lease ended.
func TestEtcdAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "away", 3)
	l.begin(300)
	group, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("away"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	follow := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for n > 0 {
			fs := group.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatal("the group stands still")
			}
			n -= fs.NumRecords()
		}
	}
	follow(1000)
	if err := group.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.etcd.Kill(); err != nil {
		t.Fatal(err)
	}
	outage := time.Now()
	for time.Since(outage) < 8*time.Second { // longer than the session's TTL
		l.awaitMore(5000)
		follow(1000)
	}
	if err := s.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	poll(t, 30*time.Second, "commit after the outage", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return group.CommitUncommittedOffsets(ctx)
	})
	l.awaitMore(5000)
	l.end()
	l.check()
	if _, err := kadm.NewClient(l.cl).CreateTopic(t.Context(), 1, 1, nil, "later"); err != nil {
		t.Errorf("create a topic after the outage: %v", err)
	}
}
