package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestAgentJoinsAndLeaves: a fourth agent takes its share of partitions and slots; one
// that is drained gives everything away, ends, and is not missed.
func TestAgentJoinsAndLeaves(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "shares", 24)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	l.awaitMore(3000)
	from := time.Now()
	fourth := c.add()
	fourth.await("/readyz")
	c.awaitShare(fourth, func(partitions, slots int) bool { return partitions >= 4 && slots >= 8 })
	t.Logf("the fourth agent had its share %v after its start", time.Since(from))
	l.awaitMore(3000)

	first := c.agents[0]
	from = time.Now()
	cli := run(t, "cluster", "drain", "1", "--http", fourth.http)
	<-cli.done
	if cli.err != nil {
		t.Fatalf("drain: %v\n%s", cli.err, cli.log)
	}
	c.awaitShare(first, func(partitions, slots int) bool { return partitions == 0 && slots == 0 })
	t.Logf("the first agent was empty after %v", time.Since(from))
	l.awaitMore(3000)
	first.stop()
	l.awaitMore(3000)
	l.end()
	if l.failed > 0 {
		t.Errorf("%d records failed", l.failed)
	}
	for p, b := range l.leaders() {
		if b == 1 {
			t.Errorf("partition %d is still led by the agent that left", p)
		}
	}
	l.check()
	f.check()
}

// awaitShare waits until the newest agent says that one has the share that is wanted.
func (c *cluster) awaitShare(m *member, fits func(partitions, slots int) bool) {
	c.t.Helper()
	asked := c.agents[len(c.agents)-1]
	poll(c.t, 60*time.Second, fmt.Sprintf("share of agent %d", m.id), func() error {
		v, err := asked.view()
		if err != nil {
			return err
		}
		if partitions, slots := v.share(m.id); !fits(partitions, slots) || v.Leaderless > 0 {
			return fmt.Errorf("%d partitions, %d slots; %d without leader", partitions, slots, v.Leaderless)
		}
		return nil
	})
}

// leaders returns the leader of every partition, as the brokers tell.
func (l *ledger) leaders() map[int32]int32 {
	l.t.Helper()
	topics, err := kadm.NewClient(l.cl).ListTopics(l.t.Context(), l.topic)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int32]int32{}
	for _, p := range topics[l.topic].Partitions {
		out[p.Partition] = p.Leader
	}
	return out
}
