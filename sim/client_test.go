package sim

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/backoff"
	"varve/kafka"
)

// client speaks Kafka's protocol as its own clients do: it asks any broker who leads,
// keeps a connection to each, and asks again after an error.
type client struct {
	w      *world
	at     node
	g      gate
	random *rand.Rand

	mu      sync.Mutex
	conns   map[string]*kconn
	topic   [16]byte
	leaders map[int32]string
}

func newClient(w *world, n int) *client {
	return &client{w: w, at: node(100 + n), random: w.source(), conns: map[string]*kconn{}, leaders: map[int32]string{}}
}

// kconn is a connection with requests under way.
type kconn struct {
	nc net.Conn

	mu      sync.Mutex
	next    int32
	waiting map[int32]*call
	err     error

	heard func(kmsg.Response) // if not nil, called with each answer
}

type call struct {
	req  kmsg.Request
	resp kmsg.Response
	err  error
	done chan struct{}
}

const requestTimeout = 4 * time.Second

// conn returns a live connection to an address.
func (c *client) conn(ctx context.Context, addr string) (*kconn, error) {
	c.mu.Lock()
	k := c.conns[addr]
	c.mu.Unlock()
	if k != nil && k.broken() == nil {
		return k, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	nc, err := c.w.net.dial(ctx, c.at, &c.g, addr)
	if err != nil {
		return nil, err
	}
	k = &kconn{nc: nc, waiting: map[int32]*call{}, heard: c.entitled}
	c.w.running.Go(k.read)
	c.mu.Lock()
	c.conns[addr] = k
	c.mu.Unlock()
	return k, nil
}

func (k *kconn) broken() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// fail ends the connection and all that waits on it.
func (k *kconn) fail(err error) {
	k.nc.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	for n, x := range k.waiting {
		x.err = k.err
		close(x.done)
		delete(k.waiting, n)
	}
}

func (k *kconn) read() {
	in := bufio.NewReader(k.nc)
	for {
		b, err := kafka.ReadFrame(in, nil, 32<<20)
		if err == nil && len(b) < 4 {
			err = errors.New("a short answer")
		}
		if err != nil {
			k.fail(err)
			return
		}
		k.mu.Lock()
		n := int32(binary.BigEndian.Uint32(b))
		x := k.waiting[n]
		delete(k.waiting, n)
		k.mu.Unlock()
		if x == nil {
			k.fail(errors.New("an answer that nobody asked for"))
			return
		}
		b = b[4:]
		if x.req.IsFlexible() && len(b) > 0 {
			b = b[1:] // no tags
		}
		if x.err = x.resp.ReadFrom(b); x.err == nil && k.heard != nil {
			k.heard(x.resp)
		}
		close(x.done)
	}
}

// send begins a request; its answer is waited for with call.wait.
func (k *kconn) send(req kmsg.Request) *call {
	x := &call{req: req, resp: req.ResponseKind(), done: make(chan struct{})}
	x.resp.SetVersion(req.GetVersion())
	k.mu.Lock()
	if k.err != nil {
		x.err = k.err
		close(x.done)
		k.mu.Unlock()
		return x
	}
	k.next++
	k.waiting[k.next] = x
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("sim")).AppendRequest(nil, req, k.next)
	k.mu.Unlock()
	if _, err := k.nc.Write(frame); err != nil {
		k.fail(err)
	}
	return x
}

func (x *call) wait(ctx context.Context) (kmsg.Response, error) {
	return x.waitFor(ctx, requestTimeout)
}

func (x *call) waitFor(ctx context.Context, patience time.Duration) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-x.done:
		return x.resp, x.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask sends a request to an address and waits.
func (c *client) ask(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	k, err := c.conn(ctx, addr)
	if err != nil {
		return nil, err
	}
	resp, err := k.send(req).wait(ctx)
	if err != nil {
		k.fail(err)
	}
	return resp, err
}

// entitled holds an answer against the rights of this client, which are given once and never taken.
func (c *client) entitled(resp kmsg.Response) {
	for _, code := range codesOf(resp) {
		switch err := kerr.ErrorForCode(code); err {
		case error(kerr.TopicAuthorizationFailed), error(kerr.GroupAuthorizationFailed), error(kerr.ClusterAuthorizationFailed):
			c.w.fail("security: client %d, which has all rights that it needs, is answered %v by %s", c.at, err, kmsg.NameForKey(resp.Key()))
		}
	}
}

// codesOf returns the errors in an answer.
func codesOf(resp kmsg.Response) (codes []int16) {
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
	case *kmsg.FetchResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
	case *kmsg.MetadataResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.OffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
	case *kmsg.OffsetFetchResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
		codes = append(codes, r.ErrorCode)
	case *kmsg.FindCoordinatorResponse:
		codes = append(codes, r.ErrorCode)
	case *kmsg.InitProducerIDResponse:
		codes = append(codes, r.ErrorCode)
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	}
	return codes
}

// anyone is a broker's address.
func (c *client) anyone() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%v:9092", node(1+c.random.IntN(len(c.w.hosts))))
}

// create makes the topic, and waits until it is there.
func (c *client) create(ctx context.Context, partitions int32) {
	for ctx.Err() == nil {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis = 7, 3000
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topicName, partitions, -1
		req.Topics = append(req.Topics, t)
		resp, err := c.ask(ctx, c.anyone(), req)
		if err == nil {
			code := resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
			if code == 0 || code == kerr.TopicAlreadyExists.Code {
				c.w.log.add("topic is there")
				return
			}
		}
		_ = backoff.Sleep(ctx, 100*time.Millisecond)
	}
}

// refresh asks who leads.
func (c *client) refresh(ctx context.Context) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	t := kmsg.NewMetadataRequestTopic()
	name := topicName
	t.Topic = &name
	req.Topics = append(req.Topics, t)
	resp, err := c.ask(ctx, c.anyone(), req)
	if err != nil {
		return
	}
	m := resp.(*kmsg.MetadataResponse)
	brokers := map[int32]string{}
	for _, b := range m.Brokers {
		brokers[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range m.Topics {
		if t.ErrorCode != 0 {
			continue
		}
		c.topic = t.TopicID
		for _, p := range t.Partitions {
			if addr, ok := brokers[p.Leader]; ok && p.ErrorCode == 0 {
				c.leaders[p.Partition] = addr
			}
		}
	}
}

// leader returns a partition's leader, as far as it is known.
func (c *client) leader(ctx context.Context, p int32) (string, error) {
	for ctx.Err() == nil {
		c.mu.Lock()
		addr := c.leaders[p]
		c.mu.Unlock()
		if addr != "" {
			return addr, nil
		}
		c.refresh(ctx)
		_ = backoff.Sleep(ctx, c.backoff())
	}
	return "", ctx.Err()
}

// suspect forgets a leader, so that it is asked for.
func (c *client) suspect(p int32) {
	c.mu.Lock()
	delete(c.leaders, p)
	c.mu.Unlock()
}

func (c *client) backoff() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 30*time.Millisecond + time.Duration(c.random.Int64N(int64(100*time.Millisecond)))
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.conns {
		k.nc.Close()
	}
}
