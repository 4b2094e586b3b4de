package agent

import (
	"context"

	"varve/admin"
	"varve/health"
)

// console answers operators (package admin). Until the agent has started, only NotReady may
// be asked.
type console struct{ a *Agent }

func (c *console) names() names { return names{c.a.view} }

// Started is closed when the agent serves.
func (c *console) Started() <-chan struct{} { return c.a.started }

// NotReady lists why this agent doesn't serve what it owns.
func (c *console) NotReady() []string { return c.a.notReady() }

// Notes are what is not as it should be, though this agent serves.
func (c *console) Notes(ctx context.Context) []string { return c.a.inspect.report(ctx).Notes }

// Health is how well the cluster is, as this agent sees it and the others report.
func (c *console) Health(ctx context.Context) *health.Answer {
	return health.Judge(c.a.inspect.snapshot(ctx))
}

// Status returns the agent's state.
func (c *console) Status() *admin.Status {
	s := &admin.Status{Broker: int32(c.a.self), Incarnation: uint64(c.a.inc), Cluster: c.a.id, Version: c.a.deps.Version, Rack: c.a.cfg.Rack,
		Partitions: c.a.owned.Len(), Topics: len(c.a.view.Topics()), UnservedCount: withoutLeader(c.a.view),
		JournalBytes: c.a.store.Untrimmed(), JournalPressure: c.a.store.Pressure(), NotReady: c.NotReady()}
	for _, l := range c.a.view.Agents() {
		s.Agents = append(s.Agents, int32(l.Broker))
	}
	for _, k := range c.a.tier.upload.Stuck() {
		name := k.Partition.Topic.String()
		if t, ok := c.a.view.TopicByID(k.Partition.Topic); ok {
			name = t.Name
		}
		s.Stuck = append(s.Stuck, admin.StuckPartition{Topic: name, Partition: k.Partition.Index, Since: k.Since, Why: k.Err.Error()})
	}
	now := c.a.millis()
	for _, p := range c.a.owned.All() {
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
