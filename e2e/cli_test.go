package e2e

import (
	"os/exec"
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
