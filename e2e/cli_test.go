package e2e

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ended runs a command that may fail, and returns its exit code and what it wrote.
func ended(t *testing.T, within time.Duration, input string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Stdin = strings.NewReader(input)
	from := time.Now()
	p := start(t, cmd)
	select {
	case <-p.done:
	case <-time.After(within):
		t.Errorf("varve %s has not ended after %v", strings.Join(args, " "), within)
		p.kill()
	}
	t.Logf("varve %s ended after %v", strings.Join(args, " "), time.Since(from).Round(10*time.Millisecond))
	return p.cmd.ProcessState.ExitCode(), p.log.String()
}

// TestCommandsOnACluster: a drained agent is waited for, and safe to stop; below quorum
// commands end in time, and say which records were not written.
func TestCommandsOnACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	output(t, "topic", "create", "t", "-p", "24", "-b", c.brokers())
	third := c.agents[2]
	if code, out := ended(t, time.Minute, "", "cluster", "drain", "3", "--wait", "--http", c.agents[0].http); code != 0 || !strings.Contains(out, "agent 3 is drained: it is safe to stop") {
		t.Fatalf("drain: exit code %d: %s", code, out)
	}
	third.stop()
	output(t, "produce", "t", "--file", "/proc/self/stat", "--acks", "all", "-b", c.agents[0].kafka)
	if code, out := ended(t, time.Minute, "", "cluster", "drain", "2", "--wait", "--wait-timeout", "3s", "--http", c.agents[0].http); code != 4 || !strings.Contains(out, "it is not safe to stop") {
		t.Errorf("draining the second of two: exit code %d: %s", code, out)
	}
	c.agents[1].kill()
	for _, acks := range []string{"all", "1"} {
		code, out := ended(t, 40*time.Second, strings.Repeat("x\n", 1000), "produce", "t", "--acks", acks, "--timeout", "4s", "-b", c.brokers())
		if code != 4 || !strings.Contains(out, "not written") && !strings.Contains(out, "no answer in time") {
			t.Errorf("produce without a quorum: exit code %d: %s", code, out)
		}
	}
	if code, out := ended(t, 40*time.Second, "", "bench", "produce", "-t", "t", "-d", "1s", "--timeout", "4s", "-b", c.agents[0].kafka); code == 0 {
		t.Errorf("bench without a quorum: exit code %d: %s", code, out)
	}
}

// TestReplace: 'cluster replace' goes from one agent to another while records are written: from one that is there, and from
// one that is dead.
func TestReplace(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "replaced", 12)
	l.beginAt(300, 2000)
	fourth := c.add()
	old := c.agents[2]
	code, out := ended(t, 2*time.Minute, "", "cluster", "replace", "3", "4", "--http", c.agents[0].http, "--", "kill", "-TERM", strconv.Itoa(old.cmd.Process.Pid))
	if code != 0 || !strings.Contains(out, "agent 4 has taken the place of agent 3") || !strings.Contains(out, "2/4 agent 3 is drained") {
		t.Fatalf("exit code %d: %s", code, out)
	}
	<-old.done
	c.agents[1].kill()
	if code, out = ended(t, time.Minute, "", "cluster", "replace", "2", "5", "--wait-timeout", "3s", "--http", fourth.http); code != 4 || !strings.Contains(out, "waiting for agent 5: start it on its host") {
		t.Errorf("without the new one: exit code %d: %s", code, out)
	}
	c.add()
	code, out = ended(t, 2*time.Minute, "", "cluster", "replace", "2", "5", "--http", fourth.http)
	if code != 0 || !strings.Contains(out, "2/4 agent 2 is gone") || strings.Contains(out, "3/4") {
		t.Errorf("a dead one: exit code %d: %s", code, out)
	}
	l.awaitMore(1000)
	l.end()
	l.check()
	if code, out := ended(t, time.Minute, "", "cluster", "replace", "9", "4", "--http", fourth.http); code != 3 || !strings.Contains(out, "agent 9 is not one of this cluster") {
		t.Errorf("one that never was: exit code %d: %s", code, out)
	}
}
