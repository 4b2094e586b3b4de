package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawFetchVersion is understood by every broker since Kafka 2.3.
const rawFetchVersion = 11

// errorPause is how long a connection waits after a partition had an error.
const errorPause = 50 * time.Millisecond

// rawFetcher is one run of RawFetch.
type rawFetcher struct {
	c       *Config
	stop    context.Context
	bytes   atomic.Int64
	records atomic.Int64
	latency histogram
	failed  failures
	first   atomic.Int64 // ns from the start until the first bytes came
	start   time.Time
	enough  context.CancelFunc
}

// RawFetch reads every partition of the topic from its start to its end, or as
// far as Duration and Bytes allow: the partitions of a leader are dealt over
// Connections connections, each with one request in flight.
func RawFetch(ctx context.Context, c Config) (*Result, error) {
	all, starts, err := leaders(ctx, &c)
	if err != nil {
		return nil, err
	}
	f := &rawFetcher{c: &c}
	r := &Result{Mode: "rawfetch"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		f.stop, f.enough = context.WithTimeout(ctx, c.Duration)
		defer f.enough()
		f.start = time.Now()
		err := f.run(all, starts)
		return f.bytes.Load(), f.records.Load(), err
	})
	if err != nil {
		return nil, err
	}
	r.Latency, r.FirstMs = f.latency.latency(), float64(f.first.Load())/1e6
	f.failed.fill(r)
	return r, nil
}

func (f *rawFetcher) run(all []leader, starts kadm.ListedOffsets) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, l := range all {
		k := min(f.c.Connections, len(l.partitions))
		for i := range k {
			conn, release, err := f.c.dial(f.stop, l.addr)
			if err != nil {
				f.enough()
				return err
			}
			next := map[int32]int64{}
			for j := i; j < len(l.partitions); j += k {
				at, _ := starts.Lookup(f.c.Topic, l.partitions[j])
				next[l.partitions[j]] = max(at.Offset, 0)
			}
			wg.Go(func() {
				defer release()
				if err := f.read(conn, next); err != nil && f.stop.Err() == nil {
					f.failed.add(err)
				}
			})
		}
	}
	return nil
}

// read fetches until nothing is left of next: partitions and where they go on.
func (f *rawFetcher) read(conn net.Conn, next map[int32]int64) error {
	in := answers{r: bufio.NewReaderSize(conn, 1<<20)}
	for n := int32(0); len(next) > 0 && f.stop.Err() == nil; n++ {
		sent := time.Now()
		if _, err := conn.Write(frame(f.request(next), n)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		body, err := in.next(n, false)
		if err != nil {
			return err
		}
		f.latency.add(time.Since(sent))
		failed, err := f.take(body, next)
		if err != nil {
			return err
		}
		if failed {
			select {
			case <-time.After(errorPause):
			case <-f.stop.Done():
			}
		}
	}
	return nil
}

func (f *rawFetcher) request(next map[int32]int64) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionEpoch = rawFetchVersion, int32(f.c.MaxWait.Milliseconds()), 1, int32(f.c.FetchBytes), -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = f.c.Topic
	for p, at := range next {
		tp := kmsg.NewFetchRequestTopicPartition()
		tp.Partition, tp.FetchOffset, tp.PartitionMaxBytes, tp.CurrentLeaderEpoch = p, at, int32(f.c.PartitionBytes), -1
		t.Partitions = append(t.Partitions, tp)
	}
	r.Topics = append(r.Topics, t)
	return r
}

// take counts an answer and moves next on; partitions that are at their end leave
// it.
func (f *rawFetcher) take(body []byte, next map[int32]int64) (failed bool, err error) {
	r := kmsg.NewPtrFetchResponse()
	r.Version = rawFetchVersion
	if err := r.ReadFrom(body); err != nil {
		return false, fmt.Errorf("decode answer: %w", err)
	}
	if r.ErrorCode != 0 {
		return false, fmt.Errorf("fetch: %w", kerr.ErrorForCode(r.ErrorCode))
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				f.failed.add(fmt.Errorf("partition %d: %w", p.Partition, kerr.ErrorForCode(p.ErrorCode)))
				failed = true
				continue
			}
			to, records := walk(p.RecordBatches, next[p.Partition])
			if len(p.RecordBatches) > 0 {
				f.first.CompareAndSwap(0, int64(time.Since(f.start)))
			}
			f.records.Add(records)
			f.c.Meter.add(int64(len(p.RecordBatches)), records)
			if got := f.bytes.Add(int64(len(p.RecordBatches))); f.c.Bytes > 0 && got >= f.c.Bytes {
				f.enough()
			}
			if next[p.Partition] = to; to >= p.HighWatermark {
				delete(next, p.Partition)
			}
		}
	}
	return failed, nil
}
