package broker

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/group"
	"varve/internal/id"
)

// onGroup adapts a handler of a group's request.
func onGroup[Req kmsg.Request, Resp kmsg.Response](f func(context.Context, groupClient, Req) Resp) func(context.Context, *conn, kmsg.Request) kmsg.Response {
	return func(ctx context.Context, c *conn, req kmsg.Request) kmsg.Response {
		host, _, err := net.SplitHostPort(c.nc.RemoteAddr().String())
		if err != nil {
			host = c.nc.RemoteAddr().String()
		}
		return f(ctx, groupClient{id: c.clientID, host: host, listener: c.listener, reached: c.nc.LocalAddr()}, req.(Req))
	}
}

// groupTable lists the APIs of consumer groups.
func groupTable(b *Broker) []*api {
	g := &groupAPIs{groups: b.deps.Groups, topics: b.opening, coordinators: b}
	return []*api{
		{key: kmsg.OffsetCommit, min: 2, max: 10, serve: onGroup(g.offsetCommit), check: checkCommit, most: func(c *Config) int { return min(c.MaxCommitBytes, c.MaxRequestBytes) }},
		{key: kmsg.OffsetFetch, min: 1, max: 10, serve: onGroup(g.offsetFetch)},
		{key: kmsg.FindCoordinator, min: 0, max: 6, serve: onGroup(g.findCoordinator), note: "groups; no transactional ids"},
		{key: kmsg.JoinGroup, min: 0, max: 9, serve: onGroup(g.joinGroup), waits: true},
		{key: kmsg.Heartbeat, min: 0, max: 4, serve: onGroup(g.heartbeat)},
		{key: kmsg.LeaveGroup, min: 0, max: 5, serve: onGroup(g.leaveGroup)},
		{key: kmsg.SyncGroup, min: 0, max: 5, serve: onGroup(g.syncGroup), waits: true},
		{key: kmsg.DescribeGroups, min: 0, max: 6, serve: onGroup(g.describeGroups), note: "classic groups"},
		{key: kmsg.ListGroups, min: 0, max: 5, serve: onGroup(g.listGroups), note: "classic groups"},
		{key: kmsg.OffsetDelete, min: 0, max: 0, serve: onGroup(g.offsetDelete)},
		{key: kmsg.DeleteGroups, min: 0, max: 2, serve: onGroup(g.deleteGroups)},
	}
}

// Coordinator gives the agent that coordinates a group: the owner of its slot.
func (b *Broker) Coordinator(name, listener string, reached net.Addr) (broker id.Broker, host string, port int32, ok bool) {
	owner := b.deps.View.Slot(group.SlotOf(name))
	a, ok := b.deps.View.Agent(owner.Broker)
	if !ok || a.Incarnation != owner.Incarnation {
		return id.NoBroker, "", 0, false
	}
	host, port, _, ok = pick(a, listener, reached)
	return owner.Broker, host, port, ok
}
