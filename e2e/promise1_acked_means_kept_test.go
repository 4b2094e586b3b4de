package e2e

import (
	"context"
	"fmt"
	"hash/crc64"
	"os"
	"os/exec"
	"path/filepath"
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

// TestLossInTheMiddle: three runs of an agent write while the bucket is away, the second's
// journal is lost. Once that is accepted the first's and the third's records are read, the
// lost offsets are passed over and never given again, and the bucket gets the whole.
func TestLossInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "middle", 1)
	if err := s.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.put(100, 300)
		s.agent.kill()
		s.launch()
		s.await("/readyz")
	}
	s.agent.kill()
	lost, err := filepath.Glob(filepath.Join(s.data(), "journal", "2-1.*"))
	if err != nil || len(lost) == 0 {
		t.Fatalf("the second journal is not on the disk: %v", err)
	}
	for _, name := range lost {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.launch()
	s.await("/healthz")
	poll(t, 20*time.Second, "a hint at what can be done", func() error {
		if !strings.Contains(s.agent.log.String(), "accept-loss") {
			return os.ErrInvalid
		}
		return nil
	})
	poll(t, 20*time.Second, "the loss to be accepted", func() error {
		out, err := exec.Command(binary, "cluster", "accept-loss", "2-1", "--http", s.http, "--yes").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.await("/readyz")
	forget := func(from, to int64) {
		for o := from; o < to; o++ {
			if _, had := l.acked[0][o]; !had {
				t.Errorf("offset %d was not among those acknowledged", o)
			}
			delete(l.acked[0], o)
		}
	}
	forget(100, 200)
	l.put(50, 300)
	s.holds(l, 0, 350)
	if err := s.minio.Start(); err != nil {
		t.Fatal(err)
	}
	s.agent.stop()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.holds(l, 0, 350)
}

// holds reads a partition from the start and wants what the ledger has of it, no more and
// no less, up to the end of the log.
func (s *site) holds(l *ledger, partition int32, end int64) {
	s.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(s.t.Context(), l.topic)
	if o, _ := ends.Lookup(l.topic, partition); err != nil || o.Offset != end {
		s.t.Fatalf("the log ends at %d, want %d: %v", o.Offset, end, err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for left, last := len(l.acked[partition]), int64(-1); last != end-1; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			s.t.Fatalf("%d records are missing: %v", left, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if hash, had := l.acked[partition][r.Offset]; !had || hash != crc64.Checksum(r.Value, table) || r.Offset <= last {
				s.t.Errorf("offset %d holds what was not acknowledged there", r.Offset)
			}
			left, last = left-1, r.Offset
		})
		if last == end-1 && left != 0 {
			s.t.Errorf("%d acknowledged records are missing", left)
		}
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
