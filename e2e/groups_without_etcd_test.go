//go:build full

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var outage = flag.Duration("outage", time.Minute, "how long etcd is away from groups")

// TestGroupsWithoutEtcdForAMinute: consumers of librdkafka, Java and franz-go that commit all
// the time go on reading while two of three members of etcd are away for six session
// timeouts. None loses its partitions, and soon after all commits are stored.
func TestGroupsWithoutEtcdForAMinute(t *testing.T) {
	t.Parallel()
	jars := kafkaJars(t)
	c := newClusterOf(t, 3, false)
	l := newLedger(t, c.brokers(), "groups", 12)
	l.beginAt(300, 1000)
	readers := []*reader{kcatReader(c, l.topic), javaReader(c, l.topic, jars), franzReader(c, l.topic)}
	for _, r := range readers {
		r.awaitMore(t, 2000)
		c.awaitCommitted(l, r.group, 60*time.Second)
	}
	mark := c.logged()
	for _, m := range c.etcd.Members[:2] {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for since := time.Now(); time.Since(since) < *outage; {
		for _, r := range readers {
			r.awaitMore(t, 1000)
		}
	}
	for _, m := range c.etcd.Members[:2] {
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
	}
	back := time.Now()
	for _, r := range readers {
		c.awaitCommitted(l, r.group, 20*time.Second)
		t.Logf("%s: %d records, commits %v after etcd was back", r.group, r.n.Load(), time.Since(back).Round(100*time.Millisecond))
	}
	for i, m := range c.agents {
		for _, line := range strings.Split(m.log.String()[mark[i]:], "\n") {
			if strings.Contains(line, "preparing to rebalance") || strings.Contains(line, "no heartbeat within") {
				t.Errorf("agent %d: %s", m.id, line)
			}
		}
	}
	for _, r := range readers {
		if r.lost != nil && r.lost() != "" {
			t.Errorf("%s: %s", r.group, r.lost())
		}
	}
	l.end()
	l.check()
}

// logged is how much each agent has logged.
func (c *cluster) logged() (n []int) {
	for _, m := range c.agents {
		n = append(n, len(m.log.String()))
	}
	return n
}

// awaitCommitted waits until a group has committed everything that was acknowledged when this
// was called.
func (c *cluster) awaitCommitted(l *ledger, group string, patience time.Duration) {
	c.t.Helper()
	adm := kadm.NewClient(l.cl)
	ends, err := adm.ListEndOffsets(c.t.Context(), l.topic)
	if err != nil {
		c.t.Fatal(err)
	}
	poll(c.t, patience, "commits of "+group, func() error {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		defer cancel()
		got, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		var behind error
		ends.Each(func(e kadm.ListedOffset) {
			if o, ok := got.Lookup(e.Topic, e.Partition); !ok || o.At < e.Offset {
				behind = fmt.Errorf("partition %d: %d is committed of %d", e.Partition, o.At, e.Offset)
			}
		})
		return behind
	})
}

// reader is a member of a group of its own.
type reader struct {
	group string
	n     atomic.Int64  // records read
	lost  func() string // what it says of having lost partitions; nil: nothing
}

func (r *reader) awaitMore(t *testing.T, n int64) {
	t.Helper()
	from := r.n.Load()
	poll(t, 60*time.Second, fmt.Sprintf("%d more records for %s", n, r.group), func() error {
		if got := r.n.Load() - from; got < n {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}

// Write counts the lines that a process prints.
func (r *reader) Write(b []byte) (int, error) {
	r.n.Add(int64(strings.Count(string(b), "\n")))
	return len(b), nil
}

// program is a reader that is a process; errs is where it complains.
func program(c *cluster, group, name string, args ...string) (*reader, *logBuffer) {
	c.t.Helper()
	r, errs := &reader{group: group}, new(logBuffer)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = r, errs
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", name, tail(errs.String(), 4000))
		}
	})
	return r, errs
}

func kcatReader(c *cluster, topic string) *reader {
	r, errs := program(c, "kcat", "kcat", "-b", c.brokers(), "-G", "kcat", "-u", "-f", "%o\n", "-X", "enable.auto.commit=true", "-X", "auto.commit.interval.ms=1000",
		"-X", "session.timeout.ms=10000", "-X", "auto.offset.reset=earliest", topic)
	r.lost = func() string {
		if log := errs.String(); strings.Count(log, "rebalanced") > 1 || strings.Contains(log, "revoked") || strings.Contains(log, "timed out") {
			return log
		}
		return ""
	}
	return r
}

func javaReader(c *cluster, topic, jars string) *reader {
	r, _ := program(c, "java", "java", "-Xmx256m", "-cp", jars+"/*", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", c.brokers(), "--topic", topic,
		"--group", "java", "--from-beginning", "--formatter-property", "print.offset=true", "--formatter-property", "print.value=false",
		"--command-property", "session.timeout.ms=10000", "--command-property", "auto.commit.interval.ms=1000")
	return r
}

func franzReader(c *cluster, topic string) *reader {
	c.t.Helper()
	r := &reader{group: "franz"}
	var losses atomic.Int64
	lost := func(context.Context, *kgo.Client, map[string][]int32) { losses.Add(1) }
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.brokers(), ",")...), kgo.ConsumerGroup(r.group), kgo.ConsumeTopics(topic), kgo.SessionTimeout(10*time.Second),
		kgo.AutoCommitInterval(time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsLost(lost), kgo.OnPartitionsRevoked(lost))
	if err != nil {
		c.t.Fatal(err)
	}
	r.lost = func() string {
		if n := losses.Load(); n > 0 {
			return fmt.Sprintf("partitions were taken %d times", n)
		}
		return ""
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			fs := cl.PollFetches(ctx)
			r.n.Add(int64(fs.NumRecords()))
			if err := fs.Err(); err != nil && !errors.Is(err, context.Canceled) {
				c.t.Logf("franz-go: %v", err)
			}
		}
	}()
	c.t.Cleanup(func() {
		stop()
		<-done
		cl.Close()
	})
	return r
}
