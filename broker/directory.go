package broker

import (
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/coordinator"
	"varve/internal/id"
)

// directory tells clients whom to ask: agents' addresses, and which agent leads a partition,
// coordinates a group or takes changes.
type directory struct {
	view       *cluster.View
	partitions Partitions
	self       id.Broker
}

// endpoint returns the address of an agent for a caller's listener.
func (d *directory) endpoint(c *caller, broker id.Broker) (host string, port int32, rack *string, ok bool) {
	for _, a := range d.view.Agents() {
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
func (d *directory) otherOwner(at id.Partition) (cluster.Owner, bool) {
	o, ok := d.view.Owner(at)
	return o, ok && o.Broker != d.self
}

// controller names the agent to which clients send changes. Any live one serves them;
// while none is elected the one with the lowest id is named, so that all answer the same.
func (d *directory) controller() int32 {
	if c := d.view.Controller(); d.view.Alive(c.Incarnation, c.Broker) {
		return int32(c.Broker)
	}
	if agents := d.view.Agents(); len(agents) > 0 {
		return int32(agents[0].Broker)
	}
	return -1
}

// Coordinator returns the agent that coordinates a group: the owner of its slot.
func (d *directory) Coordinator(name, listener string, reached net.Addr) (broker id.Broker, host string, port int32, ok bool) {
	owner := d.view.Slot(coordinator.SlotOf(name))
	a, ok := d.view.Agent(owner.Broker)
	if !ok || a.Incarnation != owner.Incarnation {
		return id.NoBroker, "", 0, false
	}
	host, port, _, ok = pick(a, listener, reached)
	return owner.Broker, host, port, ok
}

// partitionMetadata describes a partition as Metadata does.
func (d *directory) partitionMetadata(at id.Partition, ensembles map[id.Incarnation]cluster.Ensemble) kmsg.MetadataResponseTopicPartition {
	p := kmsg.NewMetadataResponseTopicPartition()
	p.Partition = at.Index
	o, ok := d.view.Owner(at)
	if !ok {
		p.ErrorCode, p.Leader, p.LeaderEpoch = kerr.LeaderNotAvailable.Code, -1, -1
		if o.Incarnation != 0 {
			p.Replicas, p.OfflineReplicas = []int32{int32(o.Broker)}, []int32{int32(o.Broker)}
		}
		return p
	}
	p.Leader, p.LeaderEpoch = int32(o.Broker), int32(o.Epoch)
	if o.Broker == d.self && d.partitions.Get(at) == nil { // not yet
		p.ErrorCode, p.Leader = kerr.LeaderNotAvailable.Code, -1
	}
	p.Replicas, p.ISR = []int32{p.Leader}, []int32{p.Leader}
	if e := ensembles[o.Incarnation]; len(e.Replicas) > 0 {
		p.Replicas, p.ISR, p.OfflineReplicas = e.Replicas, e.Live, e.Offline
	}
	return p
}
