package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestRolesKilled: kill -9 of whoever is the controller, of the group's coordinator,
// and of an owner, one after the other, while a group reads and commits.
func TestRolesKilled(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "roles", 12)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	for _, role := range []struct {
		name string
		find func() *member
	}{
		{"controller", c.controller},
		{"coordinator", func() *member { return c.coordinator(f.group) }},
		{"owner", func() *member { return c.agents[l.leaderOf(0)-1] }},
	} {
		l.awaitMore(3000)
		m := role.find()
		from := time.Now()
		m.kill()
		c.awaitReplaced(l.topic, m)
		t.Logf("agent %d, the %s, was replaced after %v", m.id, role.name, time.Since(from))
		l.awaitMore(3000)
		m.start()
		c.ready()
	}
	l.awaitMore(3000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// leaderOf is the broker that leads a partition.
func (l *ledger) leaderOf(partition int32) int32 {
	l.t.Helper()
	leader := l.leaders()[partition]
	if leader < 1 {
		l.t.Fatalf("partition %d has no leader", partition)
	}
	return leader
}

// TestTwoAgentsDead: without a quorum everything waits, and nothing is acknowledged
// that could be lost; when one of the two is back, it goes on.
func TestTwoAgentsDead(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "two", 12)
	l.beginAt(300, 3000)
	f := l.follow("followers")
	l.awaitMore(3000)
	c.agents[0].kill()
	c.agents[1].kill()
	poll(t, 60*time.Second, "acknowledgements to end", l.standsStill)
	waits := time.Now()
	for n := l.n.Load(); time.Since(waits) < 5*time.Second; {
		if got := l.n.Load(); got != n {
			t.Fatalf("%d records were acknowledged by one agent of three", got-n)
		}
		<-time.After(100 * time.Millisecond)
	}
	c.agents[1].start()
	l.awaitMore(6000)
	c.agents[0].start()
	l.awaitMore(3000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// standsStill is an error if anything is acknowledged within a second.
func (l *ledger) standsStill() error {
	from := l.n.Load()
	<-time.After(time.Second)
	if got := l.n.Load() - from; got > 0 {
		return fmt.Errorf("%d records in a second", got)
	}
	return nil
}
