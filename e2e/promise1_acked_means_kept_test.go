package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKillUnderLoad: kill -9 in the middle of everything, several times.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "load", 6)
	l.begin(500)
	for range 4 {
		l.awaitMore(20000)
		s.agent.kill()
		s.start()
	}
	l.awaitMore(5000)
	l.end()
	l.check()
}

// TestWipedDisk: after a clean stop a disk holds nothing that the bucket doesn't.
func TestWipedDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "history", 3)
	l.put(30000, 700)
	middle := time.Now()
	l.put(1000, 700)
	s.agent.stop()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	s.start()
	l.check()
	adm := kadm.NewClient(l.cl)
	after, err := adm.ListOffsetsAfterMilli(t.Context(), middle.UnixMilli(), "history")
	if err != nil {
		t.Fatal(err)
	}
	var behind int64
	ends, err := adm.ListEndOffsets(t.Context(), "history")
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		a, _ := after.Lookup(o.Topic, o.Partition)
		behind += o.Offset - a.Offset
	})
	if behind != 1000 {
		t.Errorf("%d records are younger than the moment, 1000 were produced after it", behind)
	}
	l.put(500, 700)
	l.check()
}

// TestLostDisk: after kill -9 and the loss of the disk, partitions whose newest
// records may have lain there wait until the operator accepts the loss.
func TestLostDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "lost", 2)
	l.put(1000, 300)
	s.agent.kill()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	s.launch()
	s.await("/healthz")
	poll(t, 20*time.Second, "a reason", func() error {
		_, err := get("http://" + s.http + "/readyz")
		if err == nil || !strings.Contains(err.Error(), "2 partitions have no leader") {
			return os.ErrInvalid
		}
		return nil
	})
	poll(t, 20*time.Second, "a hint at what can be done", func() error {
		if !strings.Contains(s.agent.log.String(), "accept-loss") {
			return os.ErrInvalid
		}
		return nil
	})
	poll(t, 20*time.Second, "the loss to be accepted", func() error {
		out, err := exec.Command(binary, "cluster", "accept-loss", "1-1", "--http", s.http, "--yes").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.await("/readyz")
	newLedger(t, s.kafka, "afresh", 1).put(10, 300)
	if n := s.partitionsServed(); n != 3 {
		t.Errorf("%d partitions are served after the loss was accepted", n)
	}
}

// TestCommitsSurvive: what a group committed is there after kill -9.
func TestCommitsSurvive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "commits", 2)
	l.put(100, 100)
	consume := func(want int) {
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("commits"), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for got := 0; got < want; {
			fs := cl.PollFetches(t.Context())
			fs.EachRecord(func(*kgo.Record) { got++ })
			if got > want {
				t.Errorf("%d records, want %d", got, want)
			}
		}
		if err := cl.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	consume(100)
	s.agent.kill()
	s.start()
	l.put(40, 100)
	consume(40)
}
