package agent

import (
	"context"
	"time"

	"varve/broker"
	"varve/group"
	"varve/meter"
	"varve/owner"
	"varve/partition"
	"varve/telemetry"
)

// service is what clients are served by.
type service struct {
	parts  *partition.Deps
	groups *group.Groups
	slots  *slots
	owner  *owner.Owner
	mover  *owner.Mover
	broker *broker.Broker
	memory *memoryWatch
	ready  *readiness
	stop   context.CancelFunc // ends listening
}

// newService makes it; it owns nothing yet.
func (a *Agent) newService(stop context.CancelFunc) (_ *service, err error) {
	s := &service{stop: stop, memory: &memoryWatch{host: a.deps.Host, store: a.store, tier: a.tier, log: a.log}}
	s.ready = &readiness{view: a.view, owned: a.owned, self: a.self, inc: a.inc, millis: a.millis}
	s.groups = group.Open(a.cfg.Groups, a.deps.Meta, a.heads, a.view, a.random.Split(), a.log.With("part", "groups"), a.deps.Registry)
	s.slots = &slots{groups: s.groups, view: a.view, inc: a.inc, log: a.log}
	s.parts = &partition.Deps{Journal: a.own.Writer(), Local: a.near.tails, Remote: a.near.tails.Asks, Heads: a.heads, Stored: a.deps.Meta, Tier: a.tier, Starts: a.tier.keep, Clock: a.millis, Copies: partition.NewCopies(a.cfg.Kafka.FetchMemoryBytes),
		Metrics: partition.NewMetrics(a.deps.Registry), TrustHeaders: a.cfg.Produce.Validation == ValidateHeaders, Traffic: a.openMeters(s.groups).Of, Log: a.log.With("part", "partition")}
	deps := owner.Deps{
		Self: a.self, Incarnation: a.inc, Store: a.store.ID(), Set: a.owned, Unserved: a.unserved, Partition: s.parts, View: a.view, Meta: a.deps.Meta, Heads: a.heads, Seen: a.seen,
		Tails: a.near.tails, Mine: a.own.ID, Flush: a.tier.upload.Flush, EtcdAnswers: a.own.EtcdAnswers, Opening: s.ready.noteOpening, Leaving: a.reg.leaving.Load,
		Go: a.run, Fatal: a.die, Now: a.deps.Now, Log: a.log,
	}
	s.owner, s.mover = owner.New(deps), owner.NewMover(deps)
	pushed, clients := telemetry.NewSeries(a.cfg.Metrics.MaxClientSeries), meter.NewClients(a.cfg.Metrics.MaxClients)
	if a.deps.Registry != nil {
		a.deps.Registry.MustRegister(pushed, clients)
	}
	s.broker, err = broker.New(a.cfg.Kafka, broker.Deps{
		View: a.view, Editor: a.editor, Store: a.deps.Meta, Partitions: a.owned, TierShare: a.tier.Share, Journal: a.store, Groups: s.groups,
		Secret: a.secret, Random: a.random.Split(), Log: a.log.With("part", "kafka"), Audit: a.audit(), Registry: a.deps.Registry, ClusterID: a.id, Self: a.self, Replicas: a.cfg.Replication.Factor, DataDir: a.cfg.JournalDir(),
		LogLevel: a.deps.LogLevel, Security: a.cfg.Security.broker(), Bearer: a.bearer, Kerberos: a.kerberos, Tokens: a.tokens, ClientMetrics: pushed, Clients: clients,
	})
	return s, err
}

// drainTime is how long connections get to finish what they began.
const drainTime = 5 * time.Second

// drain waits until connections have got the answers to what they asked.
func (s *service) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.broker.Drain(ctx)
}
