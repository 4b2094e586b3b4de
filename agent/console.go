package agent

import (
	"context"

	"varve/admin"
	"varve/controller"
	"varve/health"
	"varve/internal/id"
	"varve/owner"
	"varve/wal"
	"varve/wal/replica"
)

// console answers operators (package admin) of an agent that has started.
type console struct {
	*process
	*member
	inspect  *inspector
	owned    *owner.Set
	unserved *owner.Unserved
	store    *wal.Store
	tier     *tier
	holes    *holes
	peers    *replica.Node
	mine     func() id.Journal // the journal that this agent writes
	control  *controller.Controller
}

func (c *console) names() names { return names{c.view} }

// Notes are what is not as it should be, though this agent serves.
func (c *console) Notes(ctx context.Context) []string { return c.inspect.report(ctx).Notes }

// Health is how well the cluster is, as this agent sees it and the others report.
func (c *console) Health(ctx context.Context) *health.Answer {
	return health.Judge(c.inspect.snapshot(ctx))
}

// Status returns the agent's state.
func (c *console) Status() *admin.Status {
	s := &admin.Status{Broker: int32(c.self), Incarnation: uint64(c.inc), Cluster: c.id, Version: c.deps.Version, Rack: c.cfg.Rack,
		Partitions: c.owned.Len(), Topics: len(c.view.Topics()), UnservedCount: withoutLeader(c.view),
		JournalBytes: c.store.Untrimmed(), JournalPressure: c.store.Pressure(), NotReady: c.inspect.notReady()}
	for _, l := range c.view.Agents() {
		s.Agents = append(s.Agents, int32(l.Broker))
	}
	for _, k := range c.tier.upload.Stuck() {
		name := k.Partition.Topic.String()
		if t, ok := c.view.TopicByID(k.Partition.Topic); ok {
			name = t.Name
		}
		s.Stuck = append(s.Stuck, admin.StuckPartition{Topic: name, Partition: k.Partition.Index, Since: k.Since, Why: k.Err.Error()})
	}
	now := c.millis()
	for _, p := range c.owned.All() {
		bytes, oldest := p.PendingBytes()
		s.UntieredBytes += bytes
		if bytes > 0 {
			s.OldestUntieredMs = max(s.OldestUntieredMs, now-oldest)
		}
		_, tiered := p.Sizes()
		s.TierBytes += tiered
	}
	return s
}
