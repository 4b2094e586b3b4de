package broker

import (
	"context"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/internal/id"
	"varve/partition"
)

// endpoint returns the address of an agent for a caller's listener.
func (b *Broker) endpoint(c *caller, broker id.Broker) (host string, port int32, rack *string, ok bool) {
	for _, a := range b.deps.View.Agents() {
		if a.Broker != broker {
			continue
		}
		return pick(a, c.listener, c.reached)
	}
	return "", 0, nil, false
}

// pick chooses the endpoint with the listener's name.
//
// An agent that is alone may listen on all interfaces: its clients get the address
// at which they reached it.
func pick(a cluster.Live, listener string, reached net.Addr) (host string, port int32, rack *string, ok bool) {
	if a.Rack != "" {
		rack = &a.Rack
	}
	for _, e := range a.Endpoints {
		if e.Listener != listener {
			continue
		}
		if ip := net.ParseIP(e.Host); ip != nil && ip.IsUnspecified() {
			if tcp, ok := reached.(*net.TCPAddr); ok {
				return tcp.IP.String(), int32(tcp.Port), rack, true
			}
		}
		return e.Host, e.Port, rack, true
	}
	return "", 0, rack, false
}

// otherOwner returns the owner of a partition that isn't served here. While the picture
// still names this agent, or names it already, none is named: the client would come
// straight back.
func (b *Broker) otherOwner(at id.Partition) (cluster.Owner, bool) {
	o, ok := b.deps.View.Owner(at)
	return o, ok && o.Broker != b.deps.Self
}

// controller names the agent to which clients send changes. Any live one serves them;
// while none is elected the one with the lowest id is named, so that all answer the same.
func (b *Broker) controller() int32 {
	if c := b.deps.View.Controller(); b.deps.View.Alive(c.Incarnation, c.Broker) {
		return int32(c.Broker)
	}
	if agents := b.deps.View.Agents(); len(agents) > 0 {
		return int32(agents[0].Broker)
	}
	return -1
}

// changeTimeout bounds a change of metadata when the client's own limit is absurd.
const changeTimeout = 30 * time.Second

// patience returns a context for a change that the client waits millis for.
func patience(ctx context.Context, millis int32) (context.Context, context.CancelFunc) {
	d := time.Duration(millis) * time.Millisecond
	if d <= 0 || d > changeTimeout {
		d = changeTimeout
	}
	return context.WithTimeout(ctx, d)
}

// awaitServed waits, but not long, until every partition of new topics is served, so that
// the client's next request finds them.
func (b *Broker) awaitServed(ctx context.Context, topics ...*cluster.Topic) {
	ctx, cancel := context.WithTimeout(ctx, servedPatience)
	defer cancel()
	for _, t := range topics {
		b.opening.served(ctx, t)
	}
}

// servedPatience bounds the wait for the owners of new partitions.
const servedPatience = 5 * time.Second

// partitionOf returns an owned partition by its topic's name.
func (b *Broker) partitionOf(ctx context.Context, arrived time.Time, topic string, index int32) (*partition.Partition, error) {
	t, err := b.opening.topic(ctx, false, topic, id.Topic{})
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= t.Partitions {
		return nil, kerr.UnknownTopicOrPartition
	}
	return b.opening.partition(ctx, arrived, id.Partition{Topic: t.ID, Index: index})
}
