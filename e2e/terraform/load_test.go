//go:build full

package terraform

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"gopkg.in/yaml.v3"
)

// options returns how a client connects by the profile that Terraform wrote.
func options(t *testing.T, file string) []kgo.Opt {
	t.Helper()
	var all struct {
		Profiles []struct {
			Brokers        []string
			User, Password string
			CA             string `yaml:"tls_ca"`
		}
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := all.Profiles[0]
	ca, err := os.ReadFile(p.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return []kgo.Opt{kgo.SeedBrokers(p.Brokers...), kgo.DialTLSConfig(&tls.Config{RootCAs: roots}), kgo.SASL(scram.Auth{User: p.User, Pass: p.Password}.AsSha512Mechanism())}
}

// load produces and consumes until it is ended, and remembers what was acknowledged.
type load struct {
	topic string
	opts  []kgo.Opt
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu     sync.Mutex
	acked  map[place]string
	seen   int
	failed []error
}

type place struct {
	partition int32
	offset    int64
}

// pace is between two records.
const pace = 2 * time.Millisecond

// begin starts a producer and a consumer.
func begin(t *testing.T, profile, topic string) *load {
	t.Helper()
	l := &load{topic: topic, opts: options(t, profile), acked: map[place]string{}}
	producer, err := kgo.NewClient(append(l.opts, kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := kgo.NewClient(append(l.opts, kgo.ConsumeTopics(topic), kgo.ConsumerGroup("readers"))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() { defer producer.Close(); l.produce(ctx, producer) })
	l.done.Go(func() { defer consumer.Close(); l.consume(ctx, consumer) })
	t.Cleanup(func() { stop(); l.done.Wait() })
	return l
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, err)
}

func (l *load) produce(ctx context.Context, cl *kgo.Client) {
	due := time.NewTicker(pace)
	defer due.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			if err := cl.Flush(context.Background()); err != nil {
				l.fail(err)
			}
			return
		case <-due.C:
		}
		cl.Produce(context.Background(), kgo.StringRecord(fmt.Sprintf("record %d", i)), func(r *kgo.Record, err error) {
			if err != nil {
				l.fail(fmt.Errorf("produce: %w", err))
				return
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.acked[place{r.Partition, r.Offset}] = string(r.Value)
		})
	}
}

func (l *load) consume(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		f := cl.PollFetches(ctx)
		f.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) {
				l.fail(fmt.Errorf("consume partition %d: %w", p, err))
			}
		})
		l.mu.Lock()
		l.seen += f.NumRecords()
		l.mu.Unlock()
	}
}

// well fails if a client saw an error so far.
func (l *load) well(t *testing.T, after string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failed) > 0 {
		t.Errorf("after %s: %d errors of clients, the first: %v", after, len(l.failed), l.failed[0])
	}
	t.Logf("after %s: %d records are acknowledged, %d were read", after, len(l.acked), l.seen)
}

// check ends the load, and reads all of the topic: each record that was acknowledged is there, at its offset.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	l.well(t, "the load")
	cl, err := kgo.NewClient(append(l.opts, kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	missing := len(l.acked)
	for missing > 0 && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			want, ok := l.acked[place{r.Partition, r.Offset}]
			switch {
			case ok && want != string(r.Value):
				t.Errorf("partition %d has %q at offset %d, want %q", r.Partition, r.Value, r.Offset, want)
			case ok:
				missing--
			case !strings.HasPrefix(string(r.Value), "record "):
				t.Errorf("partition %d has %q at offset %d", r.Partition, r.Value, r.Offset)
			}
		})
	}
	if missing > 0 || len(l.acked) == 0 {
		t.Errorf("%d of %d acknowledged records are missing", missing, len(l.acked))
	}
}
