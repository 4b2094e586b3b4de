package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"varve/health"
)

// varve runs a command to its end.
func varve(args ...string) (out string, code int, took time.Duration) {
	began := time.Now()
	b, err := exec.Command(binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		code = -1
	}
	return string(b), code, time.Since(began)
}

// healthOf asks an agent with the command line.
func (m *member) healthOf(t *testing.T, args ...string) (a *health.Answer, code int, took time.Duration) {
	t.Helper()
	out, code, took := varve(append([]string{"cluster", "health", "--json", "--http", m.http}, args...)...)
	a = new(health.Answer)
	if err := json.Unmarshal([]byte(out), a); err != nil {
		t.Fatalf("cluster health ended with code %d: %s", code, out)
	}
	return a, code, took
}

// says looks for a line of a verdict.
func says(a *health.Answer, level health.Level, text string) error {
	all := ""
	for _, c := range a.Checks {
		if c.Level == level && strings.Contains(c.Text, text) {
			return nil
		}
		all += fmt.Sprintf("\n%v %s: %s", c.Level, c.Name, c.Text)
	}
	return fmt.Errorf("no line is %v and says %q:%s", level, text, all)
}

// well waits until the cluster is healthy, as an operator would.
func (m *member) well(t *testing.T) *health.Answer {
	t.Helper()
	a, code, _ := m.healthOf(t, "--wait", "--timeout", "60s")
	if code != 0 || a.Level != health.Healthy || !a.MayStop {
		t.Fatalf("code %d: %v", code, says(a, health.Healthy, "everything"))
	}
	return a
}

// metric reads the value of a metric without labels.
func (m *member) metric(t *testing.T, name string) float64 {
	t.Helper()
	page, err := get("http://" + m.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(page) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// TestHealth: an operator sees what is wrong, on which host, whether another agent may be
// stopped, and when that is over.
func TestHealth(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	one, two, three := c.agents[0], c.agents[1], c.agents[2]
	l := newLedger(t, c.brokers(), "watched", 12)
	l.put(500, 300)
	one.well(t)

	t.Log("an agent hangs")
	two.signal(syscall.SIGSTOP)
	a, code, took := one.healthOf(t)
	if err := says(a, health.Degraded, "agent 2 (127.0.0.1:"); code != 1 && code != 2 || err != nil || took > 3*time.Second {
		t.Errorf("code %d after %v: %v", code, took, err)
	}
	if a.MayStop {
		t.Error("another agent may be stopped while one hangs")
	}
	if err := says(a, health.Unavailable, "led by agent 2 (127.0.0.1:"); code != 2 || err != nil {
		t.Errorf("what the hung agent leads is served, code %d: %v", code, err)
	}
	for range 3 { // whichever of the two is asked first
		out, code, took := varve("cluster", "status", "-b", two.kafka+","+one.kafka, "--http", one.http)
		t.Logf("status took %v", took)
		if took > 6*time.Second || code != 1 {
			t.Errorf("with an agent that hangs, status takes %v, code %d: %s", took, code, out)
		}
	}
	two.signal(syscall.SIGCONT)
	one.well(t)

	t.Log("an agent is killed, and its disk lost")
	three.kill()
	poll(t, 20*time.Second, "the death", func() error {
		a, code, _ := one.healthOf(t)
		if code != 1 || a.AgentsLive != 2 || a.AgentsExpected != 3 || a.MayStop || a.JournalsShort == 0 {
			return fmt.Errorf("code %d, %d of %d agents, may stop %v, %d journals short", code, a.AgentsLive, a.AgentsExpected, a.MayStop, a.JournalsShort)
		}
		return errors.Join(says(a, health.Degraded, "agent 3 (127.0.0.1:"), says(a, health.Degraded, "has 2 of 3 members, without agent 3 (127.0.0.1:"))
	})
	for _, m := range []*member{one, two} {
		if _, err := get("http://" + m.http + "/readyz"); err != nil {
			t.Errorf("agent %d serves what it owns: %v", m.id, err)
		}
		if n := m.metric(t, "varve_agents_expected") - m.metric(t, "varve_agents_live"); n != 1 {
			t.Errorf("agent %d: %v agents are missing", m.id, n)
		}
	}
	if out, code, _ := varve("cluster", "status", "-b", one.kafka, "--http", one.http); code != 1 || !strings.Contains(out, "2 of 3 agents") {
		t.Errorf("code %d: %s", code, out)
	}
	poll(t, 20*time.Second, "fewer replicas in sync", func() error {
		found, err := kadm.NewClient(l.cl).ListTopics(t.Context(), "watched")
		if err != nil {
			return err
		}
		for _, p := range found["watched"].Partitions {
			if len(p.ISR) != 2 || len(p.Replicas) != 3 {
				return fmt.Errorf("partition %d: %v of %v are in sync", p.Partition, p.ISR, p.Replicas)
			}
		}
		return nil
	})
	if one.metric(t, "varve_partitions_under_replicated")+two.metric(t, "varve_partitions_under_replicated") != 12 || one.metric(t, "varve_journals_short_of_members") == 0 {
		t.Error("no metric shows that a member is missing")
	}
	three.wipe()
	three.launch()
	began := time.Now()
	three.await("/readyz")
	one.well(t)
	if took := time.Since(began); took > 8*time.Second { // replace_after is 10 s
		t.Errorf("the lost store was waited for: %v", took)
	}
	l.check()

	t.Log("a second disk is lost as soon as health allows it")
	two.kill()
	two.wipe()
	two.start()
	one.well(t)
	l.put(100, 300)
	l.check()

	t.Log("the bucket is away")
	if err := c.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	l.put(100, 300)
	oldest := one.metric(t, "varve_tier_upload_oldest_seconds")
	poll(t, 40*time.Second, "the outage", func() error {
		a, _, _ := one.healthOf(t)
		return says(a, health.Degraded, "does not answer agent 1 (127.0.0.1:")
	})
	if now := one.metric(t, "varve_tier_upload_oldest_seconds"); now <= oldest {
		t.Errorf("the age of the oldest record went from %v to %v s in an outage", oldest, now)
	}
	if _, err := get("http://" + one.http + "/readyz"); err != nil {
		t.Errorf("an agent that worked with the bucket before isn't ready: %v", err)
	}
	if err := c.minio.Start(); err != nil {
		t.Fatal(err)
	}
	one.well(t)

	t.Log("an agent leaves for good")
	three.stop()
	if a, code, _ := one.healthOf(t); code != 1 || says(a, health.Degraded, "was stopped and is not back") != nil {
		t.Errorf("code %d: %v", code, says(a, health.Degraded, "was stopped and is not back"))
	}
	if out, code, _ := varve("cluster", "forget", "3", "--http", one.http); code != 0 {
		t.Errorf("code %d: %s", code, out)
	}
	if a, _, _ := one.healthOf(t); a.AgentsExpected != 2 || a.AgentsLive != 2 {
		t.Errorf("%d of %d agents", a.AgentsLive, a.AgentsExpected)
	}
	if out, code, _ := varve("cluster", "forget", "1", "--http", two.http); code != 1 || !strings.Contains(out, "is alive") {
		t.Errorf("code %d: %s", code, out)
	}
	if out, code, _ := varve("cluster", "health", "--http", three.http); code != 2 || !strings.Contains(out, "no agent answers") {
		t.Errorf("code %d: %s", code, out)
	}
}

// TestHealthWithoutEtcd: while etcd has no quorum an operator is told so first, hears of the
// agent that answers, and is given no advice that does harm.
func TestHealthWithoutEtcd(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "frozen", 6)
	l.put(100, 300)
	one := c.agents[0]
	one.well(t)
	for _, m := range c.etcd.Members[1:] {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	var a *health.Answer
	poll(t, 20*time.Second, "the outage", func() (err error) {
		a, _, _ = one.healthOf(t)
		return says(a, health.Degraded, "no offset is committed, no topic can be written")
	})
	if a.Level != health.Degraded || a.Checks[0].Name != "etcd" || a.EtcdAwaySince.IsZero() || a.MayStop || !strings.Contains(a.MayStopWhy, "etcd does not answer") {
		t.Errorf("%v, may stop %v (%s), first %+v", a.Level, a.MayStop, a.MayStopWhy, a.Checks[0])
	}
	out, code, _ := varve("cluster", "health", "--http", one.http)
	if first, _, _ := strings.Cut(out, "\n"); code != 1 || !strings.Contains(first, "etcd does not answer; what follows is the last that was known at") {
		t.Errorf("code %d: %s", code, out)
	}
	for _, harm := range []string{"accept-loss", "forget", "start agents", "any one agent may be stopped"} {
		if strings.Contains(out, harm) {
			t.Errorf("advice %q without etcd: %s", harm, out)
		}
	}
	if err := errors.Join(says(a, health.Healthy, "free at least"), says(a, health.Healthy, "answers 3 agents")); err != nil {
		t.Error(err)
	}
	for _, m := range c.etcd.Members[1:] {
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
	}
	one.well(t)
	l.check()
}

// TestFirstStartWithoutBucket: an agent whose bucket never worked is alive and not ready,
// and says why; once it worked, the next start doesn't need it.
func TestFirstStartWithoutBucket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	s.launch()
	poll(t, 30*time.Second, "why it is not ready", func() error {
		_, err := get("http://" + s.http + "/readyz")
		if err == nil {
			t.Fatal("ready without a bucket")
		}
		if !strings.Contains(err.Error(), "the bucket has never worked for this agent") {
			return err
		}
		return nil
	})
	if _, err := get("http://" + s.http + "/livez"); err != nil {
		t.Error(err)
	}
	if err := s.minio.Start(); err != nil {
		t.Fatal(err)
	}
	s.await("/readyz")
	s.agent.kill()
	if err := s.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start()
}
