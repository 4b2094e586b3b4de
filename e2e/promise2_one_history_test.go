package e2e

import (
	"syscall"
	"testing"
	"time"
)

// TestAgentsKilled: kill -9 of each agent in turn under load; its partitions go on
// elsewhere, and it comes back as a member.
func TestAgentsKilled(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "killed", 12)
	l.begin(500)
	f := l.follow("followers")
	for _, m := range c.agents {
		l.awaitMore(4000)
		m.kill()
		l.awaitMore(4000)
		m.start()
	}
	l.awaitMore(4000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// TestDiskLost: an agent dies with its disk, comes back empty, and then another one
// does: every record was on two disks.
func TestDiskLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--upload-max-age=1h") // nothing but the journals has the records
	l := newLedger(t, c.brokers(), "wiped", 6)
	l.beginAt(500, 4000)
	f := l.follow("followers")
	l.awaitMore(4000)
	c.agents[0].kill()
	c.agents[0].wipe()
	l.awaitMore(4000)
	c.agents[0].start()
	l.awaitMore(4000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// TestZombie: an owner that stood still and was replaced meanwhile acknowledges
// nothing more when it wakes up, and joins anew.
func TestZombie(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "zombie", 12)
	l.beginAt(500, 4000)
	f := l.follow("followers")
	l.awaitMore(4000)
	for _, m := range c.agents[:2] {
		m.signal(syscall.SIGSTOP)
		from := time.Now()
		c.awaitReplaced(l.topic, m)
		t.Logf("the agent that stood still was replaced after %v", time.Since(from))
		l.awaitMore(8000)
		m.signal(syscall.SIGCONT)
		l.awaitMore(4000)
		c.ready()
	}
	l.end()
	c.ready()
	l.check()
	f.check()
}

// TestRollingRestart: each agent is stopped and started again under load; clients
// with default retries notice nothing but a pause.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "rolling", 12)
	l.beginAt(500, 4000)
	f := l.follow("followers")
	for _, m := range c.agents {
		l.awaitMore(4000)
		m.stop()
		l.awaitMore(4000)
		m.start()
	}
	l.awaitMore(4000)
	l.end()
	if l.failed > 0 {
		t.Errorf("%d records failed", l.failed)
	}
	c.ready()
	l.check()
	f.check()
}

// TestBucketAwayAndAgentKilled: while the bucket is away the journals alone have the
// newest records; the heirs serve them from their own disks.
func TestBucketAwayAndAgentKilled(t *testing.T) {
	t.Parallel()
	bucketAwayAndAgentKilled(t, 0)
}

// bucketAwayAndAgentKilled lets the bucket be away for at least so long.
func bucketAwayAndAgentKilled(t *testing.T, outage time.Duration) {
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "away", 12)
	if err := c.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	away := time.Now()
	l.beginAt(500, 4000)
	f := l.follow("followers")
	l.awaitMore(8000)
	c.agents[1].kill()
	l.awaitMore(8000)
	for time.Since(away) < outage {
		l.awaitMore(4000)
	}
	l.end()
	l.check()
	if err := c.minio.Start(); err != nil {
		t.Fatal(err)
	}
	c.agents[1].start()
	c.ready()
	l.check()
	f.check()
}
