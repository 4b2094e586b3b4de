package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/backoff"
	"varve/kafka"
)

// producer writes to one partition, idempotently, with acks=all and several requests
// under way. It never gives a batch up: what it doesn't know it sends again, in order.
type producer struct {
	c         *client
	n         int
	partition int32
	id        int64
	epoch     int16
	next      int32 // sequence
	unacked   []*sent
	why       string // the last refusal
}

// sent is a batch that isn't known to be stored.
type sent struct {
	seq    int32
	values []string
	again  bool
}

const inFlight = 3

func (p *producer) String() string {
	return fmt.Sprintf("producer %d of partition %d", p.n, p.partition)
}

// begin gets a producer id.
func (p *producer) begin(ctx context.Context) {
	for ctx.Err() == nil {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.ProducerID, req.ProducerEpoch = 4, -1, -1
		resp, err := p.c.ask(ctx, p.c.anyone(), req)
		if err == nil {
			if r := resp.(*kmsg.InitProducerIDResponse); r.ErrorCode == 0 {
				p.id, p.epoch = r.ProducerID, r.ProducerEpoch
				p.c.w.log.add("%v has id %d, epoch %d", p, p.id, p.epoch)
				return
			}
		}
		_ = backoff.Sleep(ctx, p.c.backoff())
	}
}

// run produces until told to stop, then goes on until everything is acknowledged.
func (p *producer) run(ctx, producing context.Context) {
	p.begin(ctx)
	for ctx.Err() == nil && (producing.Err() == nil || len(p.unacked) > 0) {
		if !p.round(ctx, producing) {
			p.c.suspect(p.partition)
			_ = backoff.Sleep(ctx, p.c.backoff())
		}
	}
}

// round sends all that is unacknowledged on one connection, and new batches, until
// something fails.
func (p *producer) round(ctx, producing context.Context) bool {
	addr, err := p.c.leader(ctx, p.partition)
	if err != nil {
		return false
	}
	k, err := p.c.conn(ctx, addr)
	if err != nil {
		return false
	}
	var flying []*call
	for _, b := range p.unacked {
		b.again = true
		flying = append(flying, k.send(p.request(b)))
	}
	for {
		for len(flying) < p.limit() && producing.Err() == nil {
			flying = append(flying, k.send(p.request(p.make())))
			if p.pause(ctx); ctx.Err() != nil {
				return false
			}
		}
		if len(flying) == 0 {
			return true
		}
		resp, err := flying[0].wait(ctx)
		if err != nil || !p.took(resp.(*kmsg.ProduceResponse)) {
			if err != nil {
				p.why = addr + ": " + err.Error()
				k.fail(err) // late answers of it must not be taken for those of a retry
			}
			for _, x := range flying[1:] {
				_, _ = x.wait(ctx)
			}
			return false
		}
		flying = flying[1:]
	}
}

// limit is how many batches may be under way. A partition that doesn't know a producer
// takes any sequence from it, as Kafka's, so that the first batch goes alone, as
// Kafka's clients send it: else the second could be stored without the first.
func (p *producer) limit() int {
	if p.c.w.ledger.heard(p) {
		return inFlight
	}
	return 1
}

func (p *producer) pause(ctx context.Context) {
	p.c.mu.Lock()
	d := time.Duration(p.c.random.Int64N(int64(120 * time.Millisecond)))
	p.c.mu.Unlock()
	_ = backoff.Sleep(ctx, d)
}

// make makes the next batch.
func (p *producer) make() *sent {
	p.c.mu.Lock()
	n, fill := 1+p.c.random.IntN(4), p.c.random.IntN(3000)
	p.c.mu.Unlock()
	b := &sent{seq: p.next}
	for i := range n {
		b.values = append(b.values, fmt.Sprintf("%d/%d/%d/", p.n, p.partition, int(p.next)+i)+strings.Repeat(string(rune('a'+(int(p.next)+i)%26)), fill))
	}
	p.next += int32(n)
	p.unacked = append(p.unacked, b)
	p.c.w.ledger.sent(p, b)
	return b
}

func (p *producer) request(b *sent) kmsg.Request {
	var records []kafka.NewRecord
	for _, v := range b.values {
		records = append(records, kafka.NewRecord{Timestamp: time.Now().UnixMilli(), Value: []byte(v)})
	}
	batch, err := kafka.Build(0, records, func(x kafka.Batch) { x.SetProducer(p.id, p.epoch, b.seq) })
	if err != nil {
		panic(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 3000
	t, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	t.Topic, rp.Partition, rp.Records = topicName, p.partition, batch
	t.Partitions = append(t.Partitions, rp)
	req.Topics = append(req.Topics, t)
	return req
}

// took notes the answer to the oldest batch; false: it has to be sent again.
func (p *producer) took(r *kmsg.ProduceResponse) bool {
	b := p.unacked[0]
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		p.c.w.fail("%v: an answer without its partition: %+v", p, r)
		return false
	}
	at := r.Topics[0].Partitions[0]
	switch err := kerr.ErrorForCode(at.ErrorCode); err {
	case nil:
		p.c.w.ledger.acked(p, b, at.BaseOffset)
	case error(kerr.DuplicateSequenceNumber):
		p.c.w.ledger.acked(p, b, -1)
	case error(kerr.OutOfOrderSequenceNumber), error(kerr.UnknownProducerID), error(kerr.InvalidProducerEpoch), error(kerr.InvalidProducerIDMapping):
		// All before it was acknowledged: the broker has forgotten some of that.
		p.c.w.fail("promise 2: %v: batch at sequence %d is refused (%v), though all before it was acknowledged", p, b.seq, err)
		return false
	default:
		p.why = err.Error()
		return false
	}
	p.unacked = p.unacked[1:]
	return true
}
