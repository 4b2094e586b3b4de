package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxFrame bounds what a broker may answer.
const maxFrame = 1<<30 + 1<<20

// leader is a broker with the topic's partitions that it leads.
type leader struct {
	addr       string
	partitions []int32
}

// Prepare looks whether the topic is there; if it is not, it is created with so
// many partitions, or, with 0, that is an error.
func Prepare(ctx context.Context, c *Config, partitions int32) (created bool, err error) {
	adm, err := kadm.NewOptClient(c.options(kgo.MetadataMinAge(lookAgain))...)
	if err != nil {
		return false, err
	}
	defer adm.Close()
	found, err := adm.ListTopics(ctx, c.Topic)
	if err != nil {
		return false, fmt.Errorf("look up topic: %w", err)
	}
	if err := found[c.Topic].Err; err == nil && found.Has(c.Topic) || partitions == 0 {
		return false, wrap("look up topic", err)
	}
	r, err := adm.CreateTopic(ctx, partitions, -1, nil, c.Topic)
	if err == nil {
		err = r.Err
	}
	if err != nil {
		return false, fmt.Errorf("create topic %q: %w", c.Topic, err)
	}
	return true, settled(ctx, adm, c.Topic)
}

// lookAgain is how often a new topic is looked for.
const lookAgain = 20 * time.Millisecond

// settled waits until every partition has a leader.
func settled(ctx context.Context, adm *kadm.Client, topic string) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		found, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return fmt.Errorf("look up topic: %w", err)
		}
		ready := found.Has(topic) && found[topic].Err == nil
		for _, p := range found[topic].Partitions {
			ready = ready && p.Err == nil && p.Leader >= 0
		}
		if ready {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for leaders of topic %q: %w", topic, ctx.Err())
		}
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// leaders finds the leaders of the topic's partitions, and where they start.
func leaders(ctx context.Context, c *Config) (all []leader, starts kadm.ListedOffsets, err error) {
	adm, err := kadm.NewOptClient(c.options()...)
	if err != nil {
		return nil, nil, err
	}
	defer adm.Close()
	md, err := adm.Metadata(ctx, c.Topic)
	if err == nil {
		err = md.Topics[c.Topic].Err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up topic %q: %w", c.Topic, err)
	}
	if starts, err = adm.ListStartOffsets(ctx, c.Topic); err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up where topic %q starts: %w", c.Topic, err)
	}
	for _, b := range md.Brokers {
		l := leader{addr: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))}
		for _, p := range md.Topics[c.Topic].Partitions.Sorted() {
			if p.Leader == b.NodeID {
				l.partitions = append(l.partitions, p.Partition)
			}
		}
		if len(l.partitions) > 0 {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("topic %q has no partition with a leader", c.Topic)
	}
	return all, starts, nil
}

// correlationAt is where a request's correlation id stands in its frame.
const correlationAt = 8

func frame(r kmsg.Request, correlation int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("varve-bench")).AppendRequest(nil, r, correlation)
}

// answers reads frames from a connection.
type answers struct {
	r   *bufio.Reader
	buf []byte
}

// next reads an answer's body, valid until the next call; it must be the one of
// that request.
func (a *answers) next(correlation int32, flexible bool) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(a.r, size[:]); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	n := int64(int32(binary.BigEndian.Uint32(size[:])))
	if n < 5 || n > maxFrame {
		return nil, fmt.Errorf("read answer: a frame of %d bytes", n)
	}
	if int64(cap(a.buf)) < n {
		a.buf = make([]byte, n)
	}
	a.buf = a.buf[:n]
	if _, err := io.ReadFull(a.r, a.buf); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if got := int32(binary.BigEndian.Uint32(a.buf)); got != correlation {
		return nil, fmt.Errorf("read answer: of request %d instead of %d", got, correlation)
	}
	if !flexible {
		return a.buf[4:], nil
	}
	if a.buf[4] != 0 {
		return nil, fmt.Errorf("read answer: its header has tagged fields, which is not expected")
	}
	return a.buf[5:], nil
}
