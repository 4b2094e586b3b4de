package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawProduceVersion is understood by every broker since Kafka 2.4.
const rawProduceVersion = 9

// answerWait is how long the answers to the last requests may take.
const answerWait = 10 * time.Second

// rawProducer is one run of RawProduce.
type rawProducer struct {
	c        *Config
	batch    []byte
	records  int
	stop     time.Time
	requests atomic.Int64
	batches  atomic.Int64
	latency  histogram
	failed   failures
}

// RawProduce sends one prepared batch over and over: Depth requests in flight on
// each of Connections connections to each leader, a batch for each of Fan
// partitions in a request. With acks 0 there is nothing to wait for, and no
// latency.
func RawProduce(ctx context.Context, c Config) (*Result, error) {
	all, _, err := leaders(ctx, &c)
	if err != nil {
		return nil, err
	}
	p := &rawProducer{c: &c}
	p.batch, p.records = batch(&c, time.Now())
	r := &Result{Mode: "rawproduce"}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		p.stop = time.Now().Add(c.Duration)
		err := p.run(ctx, all)
		n := p.batches.Load()
		return n * int64(len(p.batch)), n * int64(p.records), err
	})
	if err != nil {
		return nil, err
	}
	r.Requests, r.Latency = float64(p.requests.Load())/r.Seconds, p.latency.latency()
	p.failed.fill(r)
	return r, nil
}

func (p *rawProducer) run(ctx context.Context, all []leader) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, l := range all {
		requests := p.prepare(l)
		for i := range p.c.Connections {
			conn, release, err := p.c.dial(ctx, l.addr)
			if err != nil {
				return err
			}
			own := make([][]byte, len(requests)) // each connection writes its own ids into them
			for j := range requests {
				own[j] = append([]byte(nil), requests[(i+j)%len(requests)]...)
			}
			_ = conn.SetDeadline(p.stop.Add(answerWait)) // a closed one fails by itself
			sent := make(chan time.Time, p.c.Depth-1)    // and one that the reader waits for
			wg.Go(func() { p.send(ctx, conn, own, min(p.c.Fan, len(l.partitions)), sent) })
			wg.Go(func() { defer release(); p.receive(conn, sent) })
		}
	}
	return nil
}

// prepare encodes requests that together reach every partition of a leader.
func (p *rawProducer) prepare(l leader) (frames [][]byte) {
	fan := min(p.c.Fan, len(l.partitions))
	for i := 0; i < len(l.partitions); i += fan {
		r := kmsg.NewPtrProduceRequest()
		r.Version, r.Acks, r.TimeoutMillis = rawProduceVersion, p.c.Acks, int32(answerWait.Milliseconds())
		t := kmsg.NewProduceRequestTopic()
		t.Topic = p.c.Topic
		for j := range fan {
			tp := kmsg.NewProduceRequestTopicPartition()
			tp.Partition, tp.Records = l.partitions[(i+j)%len(l.partitions)], p.batch
			t.Partitions = append(t.Partitions, tp)
		}
		r.Topics = append(r.Topics, t)
		frames = append(frames, frame(r, 0))
	}
	return frames
}

func (p *rawProducer) send(ctx context.Context, conn net.Conn, frames [][]byte, fan int, sent chan<- time.Time) {
	defer close(sent)
	for n := int32(0); ctx.Err() == nil; n++ {
		now := time.Now()
		if now.After(p.stop) {
			break
		}
		f := frames[int(n)%len(frames)]
		binary.BigEndian.PutUint32(f[correlationAt:], uint32(n))
		if p.c.Acks != 0 {
			sent <- now
		}
		if _, err := conn.Write(f); err != nil {
			p.failed.add(fmt.Errorf("send: %w", err))
			conn.Close() // what is in flight is lost as well
			return
		}
		if p.c.Acks == 0 {
			p.count(fan)
		}
	}
}

// count books a request with acks 0, of which nothing is known but that it was
// sent.
func (p *rawProducer) count(batches int) {
	p.requests.Add(1)
	p.batches.Add(int64(batches))
	p.c.Meter.add(int64(batches*len(p.batch)), int64(batches*p.records))
}

func (p *rawProducer) receive(conn net.Conn, sent <-chan time.Time) {
	in := answers{r: bufio.NewReader(conn)}
	var failed error
	for n := int32(0); ; n++ {
		at, ok := <-sent
		if !ok {
			return
		}
		if failed != nil {
			continue // let the sender find out
		}
		body, err := in.next(n, true)
		if err == nil {
			p.latency.add(time.Since(at))
			err = p.judge(body)
		}
		if err != nil {
			p.failed.add(err)
			conn.Close()
			failed = err
		}
	}
}

// judge counts an answer; an error is that it can't be read.
func (p *rawProducer) judge(body []byte) error {
	r := kmsg.NewPtrProduceResponse()
	r.Version = rawProduceVersion
	if err := r.ReadFrom(body); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	p.requests.Add(1)
	for _, t := range r.Topics {
		for _, tp := range t.Partitions {
			if tp.ErrorCode != 0 {
				p.failed.add(fmt.Errorf("partition %d: %w", tp.Partition, kerr.ErrorForCode(tp.ErrorCode)))
				continue
			}
			p.batches.Add(1)
			p.c.Meter.add(int64(len(p.batch)), int64(p.records))
		}
	}
	return nil
}
