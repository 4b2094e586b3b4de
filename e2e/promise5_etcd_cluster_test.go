package e2e

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestEtcdLeaderKilled: when the member of etcd that leads dies, nobody but etcd
// elects anybody.
func TestEtcdLeaderKilled(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "leader", 12)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	l.awaitMore(3000)
	for range 2 {
		leader, err := c.etcd.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := leader.Kill(); err != nil {
			t.Fatal(err)
		}
		l.awaitMore(12000)
		if err := leader.Start(); err != nil {
			t.Fatal(err)
		}
	}
	l.end()
	c.ready()
	l.check()
	f.check()
}

// TestEtcdLeaderHangs: when the member of etcd that leads hangs, no agent loses its session,
// and all that it leads is served on.
func TestEtcdLeaderHangs(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "hangs", 12)
	l.beginAt(300, 3000)
	l.awaitMore(3000)
	epochs := l.epochs()
	leader, err := c.etcd.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Pause(); err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); time.Since(since) < 15*time.Second; {
		l.awaitMore(3000)
	}
	if _, err := kadm.NewClient(l.cl).CreateTopic(t.Context(), 1, 1, nil, "meanwhile"); err != nil {
		t.Errorf("create a topic while a member of etcd hangs: %v", err)
	}
	// Before it is back: a leader that wakes up may revoke, in its last moment, the leases that
	// ran out while it hung (etcd's revokeExpiredLeases trusts a leader that has just ticked).
	// Sessions are opened anew then, and all else goes on.
	for _, m := range c.agents {
		if n := m.metric(t, "varve_metadata_sessions_lost_total"); n != 0 {
			t.Errorf("agent %d lost %v sessions", m.id, n)
		}
	}
	if err := leader.Resume(); err != nil {
		t.Fatal(err)
	}
	l.awaitMore(9000)
	l.end()
	for p, e := range l.epochs() {
		if e != epochs[p] {
			t.Errorf("partition %d had epoch %d before, and has %d now", p, epochs[p], e)
		}
	}
	c.ready()
	l.check()
}

// TestAllOfEtcdGone: three agents go on while all of etcd is away for longer than
// their sessions; owners keep what nobody took; afterwards commits and new topics
// work again, and a failover too.
func TestAllOfEtcdGone(t *testing.T) {
	t.Parallel()
	allOfEtcdGone(t, 12*time.Second)
}

func allOfEtcdGone(t *testing.T, outage time.Duration) {
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "gone", 12)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	l.awaitMore(3000)
	epochs := l.epochs()
	if err := c.etcd.Kill(); err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); time.Since(since) < outage; {
		l.awaitMore(3000)
	}
	if err := c.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	l.awaitMore(9000)
	c.ready()
	for p, e := range l.epochs() {
		if e != epochs[p] {
			t.Errorf("partition %d had epoch %d before etcd was away, and has %d now", p, epochs[p], e)
		}
	}
	if _, err := kadm.NewClient(l.cl).CreateTopic(t.Context(), 1, 1, nil, "later"); err != nil {
		t.Errorf("create a topic after the outage: %v", err)
	}
	c.agents[0].kill()
	c.awaitReplaced(l.topic, c.agents[0])
	l.awaitMore(3000)
	c.agents[0].start()
	l.end()
	c.ready()
	l.check()
	f.check()
}

// epochs returns the leader epochs of all partitions; each change of owner raises one.
func (l *ledger) epochs() map[int32]int32 {
	l.t.Helper()
	topics, err := kadm.NewClient(l.cl).ListTopics(l.t.Context(), l.topic)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int32]int32{}
	for _, p := range topics[l.topic].Partitions {
		out[p.Partition] = p.LeaderEpoch
	}
	return out
}
