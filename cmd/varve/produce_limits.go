package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// maxLine bounds a line; compressed it may still fit a topic.
	maxLine = 512 << 20
	// minBatch is the smallest bound of batches that the client takes: for topics that
	// take less, records go one by one.
	minBatch = 512
	// clientOverhead is what the client subtracts for the request around a batch, and more.
	clientOverhead = 64 << 10
	// defaultBatch bounds batches where a topic allows more; larger ones gain nothing.
	defaultBatch = 1_000_000
	// defaultMessage is max.message.bytes where a broker doesn't tell it.
	defaultMessage = 1_048_588
)

// topicLimits are the max.message.bytes of topics.
type topicLimits struct {
	kafka *kafkaFlags
	mu    sync.Mutex
	known map[string]int
}

func (l *topicLimits) of(topic string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[topic]
}

// batch is how large a batch of a topic may be. What a broker compresses anew may grow a
// little.
func (l *topicLimits) batch(topic string) int {
	n := l.of(topic)
	if n == 0 {
		n = defaultMessage
	}
	return min(n-n/64, defaultBatch)
}

// learn asks for a topic's limit, once. A topic that doesn't exist yet gets the cluster's.
func (l *topicLimits) learn(ctx context.Context, cl *kgo.Client, topic string) error {
	if l.of(topic) != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.kafka.timeout)
	defer cancel()
	adm := kadm.NewClient(cl)
	n, err := configured(adm.DescribeTopicConfigs(ctx, topic))("max.message.bytes")
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		n, err = configured(adm.DescribeBrokerConfigs(ctx))("message.max.bytes")
	}
	switch {
	case isAny(err, context.DeadlineExceeded, context.Canceled):
		return sayKafka("look up max.message.bytes of topic "+topic, err, "")
	case err != nil || n < 1: // other brokers, or no right to ask
		n = defaultMessage
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[topic] = n
	return nil
}

// configured looks up a number among the settings of an answer.
func configured(all kadm.ResourceConfigs, err error) func(name string) (int, error) {
	return func(name string) (int, error) {
		for _, r := range all {
			if r.Err != nil {
				return 0, r.Err
			}
			for _, c := range r.Configs {
				if c.Key == name && c.Value != nil {
					return strconv.Atoi(*c.Value)
				}
			}
		}
		return 0, err
	}
}

// batchSize is the size of a batch of this record alone, uncompressed.
func batchSize(r *kgo.Record) int {
	n := 3 + sized(r.Key) + sized(r.Value) + varint(len(r.Headers)) // attributes and two deltas of 0
	for _, h := range r.Headers {
		n += varint(len(h.Key)) + len(h.Key) + sized(h.Value)
	}
	return 61 + varint(n) + n
}

// sized is the size of bytes with their length before them; null has -1.
func sized(b []byte) int {
	if b == nil {
		return 1
	}
	return varint(len(b)) + len(b)
}

// varint is the size of a length in zigzag varint.
func varint(n int) int { return (bits.Len64(uint64(n)<<1|1) + 6) / 7 }

// errTooLarge reports that a record doesn't fit its topic.
type errTooLarge struct {
	value, batch, limit int // batch is the size of a batch of the record alone
	topic               string
}

func tooLarge(r *kgo.Record, limit int) errTooLarge {
	return errTooLarge{len(r.Value), batchSize(r), limit, r.Topic}
}

func (e errTooLarge) Error() string {
	size := fmt.Sprintf("a record with a value of %d bytes, %d with all that a batch adds, is larger than the topic's max.message.bytes, %d", e.value, e.batch, e.limit)
	if e.batch <= e.limit {
		size = fmt.Sprintf("a record with a value of %d bytes, %d with all that a batch adds, is larger for the broker than the topic's max.message.bytes, which was %d when varve asked: it was lowered, or the broker compresses anew", e.value, e.batch, e.limit)
	}
	return fmt.Sprintf("%s (MESSAGE_TOO_LARGE); 'varve topic alter %s --set max.message.bytes=...' allows more", size, e.topic)
}

// named sends a record to the partition that it names, and others where the client likes.
type named struct{ kgo.Partitioner }

func (n named) ForTopic(topic string) kgo.TopicPartitioner {
	return namedTopic{n.Partitioner.ForTopic(topic)}
}

type namedTopic struct{ kgo.TopicPartitioner }

// partitionKey is the partition that a record's context names. The record's own field
// doesn't tell: the client writes its choice there, and may then ask for another.
type partitionKey struct{}

// naming is the context of a record: with the partition that it names, if it does.
func naming(ctx context.Context, r *kgo.Record) context.Context {
	if r.Partition < 0 {
		return ctx
	}
	return context.WithValue(ctx, partitionKey{}, r.Partition)
}

// namedBy returns the partition that a record names.
func namedBy(r *kgo.Record) (p int32, ok bool) {
	if r.Context != nil {
		p, ok = r.Context.Value(partitionKey{}).(int32)
	}
	return p, ok
}

func (n namedTopic) RequiresConsistency(r *kgo.Record) bool {
	_, ok := namedBy(r)
	return ok || n.TopicPartitioner.RequiresConsistency(r)
}

func (n namedTopic) Partition(r *kgo.Record, of int) int {
	if p, ok := namedBy(r); ok {
		return int(p)
	}
	return n.TopicPartitioner.Partition(r, of)
}

func (n namedTopic) OnNewBatch() {
	if b, ok := n.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		b.OnNewBatch()
	}
}
