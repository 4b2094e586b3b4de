package e2e

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ledger remembers every acknowledged record, so that the log can be held
// against it.
type ledger struct {
	t     *testing.T
	addr  string
	topic string
	cl    *kgo.Client

	mu     sync.Mutex
	acked  map[int32]map[int64]uint64 // partition -> offset -> hash of the value
	failed int
	n      atomic.Int64
	stop   context.CancelFunc
	done   sync.WaitGroup
}

var table = crc64.MakeTable(crc64.ECMA)

// newLedger makes the topic and a producer: idempotent, acks=all, patient.
func newLedger(t *testing.T, addr, topic string, partitions int32, opts ...kgo.Opt) *ledger {
	t.Helper()
	l := &ledger{t: t, addr: addr, topic: topic, acked: map[int32]map[int64]uint64{}}
	var err error
	l.cl, err = kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(2 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.RecordDeliveryTimeout(2 * time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cl.Close)
	if _, err := kadm.NewClient(l.cl).CreateTopic(t.Context(), partitions, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	return l
}

// begin produces without pause, size bytes a record, until end.
func (l *ledger) begin(size int) { l.beginAt(size, 0) }

// beginAt produces about so many records a second, so that what is measured beside
// it isn't drowned; 0 is as many as it can.
func (l *ledger) beginAt(size, rate int) {
	const tick = 10 * time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		due := time.NewTicker(tick)
		defer due.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			if burst := rate * int(tick) / int(time.Second); burst > 0 && i%burst == 0 {
				<-due.C
			}
			l.cl.Produce(ctx, l.record(i, size), l.note)
		}
	}()
}

func (l *ledger) record(i, size int) *kgo.Record {
	v := make([]byte, size)
	copy(v, fmt.Sprintf("%s %d %d", l.topic, i, time.Now().UnixNano()))
	return &kgo.Record{Value: v}
}

func (l *ledger) note(r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return // end took it back
	}
	if err != nil {
		l.failed++
		return
	}
	p := l.acked[r.Partition]
	if p == nil {
		p = map[int64]uint64{}
		l.acked[r.Partition] = p
	}
	if _, twice := p[r.Offset]; twice {
		l.t.Errorf("offset %d of partition %d was given twice", r.Offset, r.Partition)
	}
	p[r.Offset] = crc64.Checksum(r.Value, table)
	l.n.Add(1)
}

// awaitMore waits until n more records were acknowledged.
func (l *ledger) awaitMore(n int64) {
	l.t.Helper()
	from := l.n.Load()
	poll(l.t, 90*time.Second, fmt.Sprintf("%d more records", n), func() error {
		if got := l.n.Load() - from; got < n {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}

// end stops producing and waits for what is under way.
func (l *ledger) end() {
	l.t.Helper()
	l.stop()
	l.done.Wait()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	if err := l.cl.Flush(ctx); err != nil {
		l.t.Errorf("flush: %v", err)
	}
}

// put produces n records and waits for all.
func (l *ledger) put(n, size int) {
	l.t.Helper()
	for i := range n {
		l.cl.Produce(l.t.Context(), l.record(i, size), l.note)
	}
	if err := l.cl.Flush(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// check reads the whole log and holds it against the ledger: every acknowledged
// record is there, at its offset, unchanged; offsets are dense; and with an
// idempotent producer no value is there twice.
func (l *ledger) check() {
	l.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(l.addr, ",")...))
	if err != nil {
		l.t.Fatal(err)
	}
	ends, err := kadm.NewClient(cl).ListEndOffsets(l.t.Context(), l.topic)
	cl.Close()
	if err != nil {
		l.t.Fatal(err)
	}
	var total int64
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	found, values := l.readAll(total)
	l.mu.Lock()
	defer l.mu.Unlock()
	lost, wrong := 0, 0
	for p, offsets := range l.acked {
		for o, hash := range offsets {
			got, ok := found[p][o]
			if !ok {
				lost++
			} else if got != hash {
				wrong++
			}
		}
	}
	if lost > 0 || wrong > 0 {
		l.t.Errorf("%d acknowledged records are lost, %d changed, of %d", lost, wrong, l.n.Load())
	}
	for hash, n := range values {
		if n > 1 {
			l.t.Errorf("a record is there %d times (%x)", n, hash)
			break
		}
	}
	l.t.Logf("%d acknowledged, %d in the log, %d failed", l.n.Load(), total, l.failed)
}

// readAll reads total records from the start and checks that offsets are dense.
func (l *ledger) readAll(total int64) (found map[int32]map[int64]uint64, values map[uint64]int) {
	l.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(l.addr, ",")...), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(300*time.Millisecond))
	if err != nil {
		l.t.Fatal(err)
	}
	defer cl.Close()
	found, values = map[int32]map[int64]uint64{}, map[uint64]int{}
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	next := map[int32]int64{}
	for n := int64(0); n < total; {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			l.t.Fatalf("read %d of %d records: %v", n, total, fs.Err())
		}
		fs.EachRecord(func(r *kgo.Record) {
			n++
			if r.Offset != next[r.Partition] {
				l.t.Errorf("partition %d: offset %d where %d should be", r.Partition, r.Offset, next[r.Partition])
			}
			next[r.Partition] = r.Offset + 1
			if found[r.Partition] == nil {
				found[r.Partition] = map[int64]uint64{}
			}
			hash := crc64.Checksum(r.Value, table)
			found[r.Partition][r.Offset] = hash
			values[hash]++
		})
	}
	return found, values
}
