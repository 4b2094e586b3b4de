//go:build full

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSlowDisk: while every fdatasync of one member takes 100 ms longer, a quorum of
// the others hides that: in the median, an acknowledgement takes far less. The delay is
// put in by strace, at the system call.
func TestSlowDisk(t *testing.T) {
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "slow", 12)
	before := c.produceLatency("measured")
	c.agents[2].slowDisk(100 * time.Millisecond)
	l.beginAt(300, 1000)
	f := l.follow("followers")
	l.awaitMore(1000)
	during := c.produceLatency("measured")
	t.Logf("ms from produce to acknowledgement: p50 %.1f, p99 %.1f; with a slow member p50 %.1f, p99 %.1f", before.P50, before.P99, during.P50, during.P99)
	if during.P50 > 50 {
		t.Errorf("a slow member is waited for: p50 is %.1f ms", during.P50)
	}
	l.awaitMore(1000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// TestHungDisk: an agent whose disk answers no sync any more makes way and ends, though
// some of its threads never return.
func TestHungDisk(t *testing.T) {
	c := newCluster(t)
	l := newLedger(t, c.brokers(), "hung", 12)
	l.beginAt(300, 1000)
	f := l.follow("followers")
	l.awaitMore(1000)
	m := c.agents[1]
	release := m.slowDisk(time.Hour)
	from := time.Now()
	c.awaitReplaced(l.topic, m)
	took := time.Since(from)
	t.Logf("the agent whose disk hung was replaced after %v", took)
	if took > 22*time.Second { // it would have gone on answering its peers until it exits, after 25 s
		t.Error("it made way too late")
	}
	l.awaitMore(1000)
	poll(t, time.Minute, "it wants to end", func() error {
		if !strings.Contains(m.log.String(), "varve: the disk under "+m.data()+" has not answered for 15s") {
			return errors.New("it goes on")
		}
		return nil
	})
	release() // strace holds threads that are to die
	<-m.done
	if code := m.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("it ended with %d", code)
	}
	m.start()
	l.awaitMore(1000)
	l.end()
	c.ready()
	l.check()
	f.check()
}

// slowDisk delays every fdatasync of an agent until the result is called, or the test ends.
func (m *member) slowDisk(by time.Duration) (end func()) {
	m.c.t.Helper()
	trace := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
		"-e", fmt.Sprintf("inject=fdatasync:delay_enter=%d", by.Microseconds()), "-p", fmt.Sprint(m.cmd.Process.Pid))
	log := new(logBuffer)
	trace.Stdout, trace.Stderr = log, log
	trace.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := trace.Start(); err != nil {
		m.c.t.Fatalf("strace is needed: %v", err)
	}
	end = sync.OnceFunc(func() {
		_ = trace.Process.Signal(syscall.SIGTERM) // it lets go of the agent, unless that is dying
		stuck := time.AfterFunc(time.Second, func() { _ = trace.Process.Kill() })
		_ = trace.Wait()
		stuck.Stop()
		if m.c.t.Failed() {
			m.c.t.Logf("strace wrote: %s", log)
		}
	})
	m.c.t.Cleanup(end)
	return end
}

// produceLatency measures at 1,000 records a second for three seconds.
func (c *cluster) produceLatency(topic string) (lat struct{ P50, P99 float64 }) {
	c.t.Helper()
	out, err := exec.CommandContext(c.t.Context(), binary, "bench", "produce", "--brokers", c.brokers(), "--topic", topic, "--partitions", "12",
		"--rate", "1000", "--linger", "0s", "-d", "3s", "--json").Output()
	if err != nil {
		c.t.Fatal(err)
	}
	var r struct {
		Latency struct{ P50, P99 float64 } `json:"lat_ms"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		c.t.Fatalf("%s: %v", out, err)
	}
	return r.Latency
}
