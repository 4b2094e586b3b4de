package agent

import (
	"context"
	"math"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"varve/cluster"
	"varve/group"
	"varve/health"
	"varve/internal/id"
	"varve/meter"
)

// MetricsConfig bounds the number of metrics' series.
type MetricsConfig struct {
	MaxTopics      int `yaml:"max_topics" doc:"maximum number of topics with series of their own in an agent's metrics; the others are summed under topic (other). 0: none"`
	MaxGroupTopics int `yaml:"max_group_topics" doc:"maximum number of group and topic pairs with a lag metric, and of groups with their number of members; the others are counted in varve_group_lag_dropped and varve_group_members_dropped. 0: groups have no metrics of their own, and no agent asks others for log end offsets"`

	MaxGroupPartitions int `yaml:"max_group_partitions" doc:"maximum number of triples of group, topic and partition with a lag metric (kafka_consumergroup_lag, kafka_consumergroup_current_offset); the others are counted in varve_group_partitions_dropped. 0: none"`
	MaxClientSeries    int `yaml:"max_client_series" doc:"maximum number of series of metrics that clients push to an agent (KIP-714, varve_client_metric); the others are counted in varve_client_metrics_dropped_total. 0: none"`
	MaxClients         int `yaml:"max_clients" doc:"maximum number of clients (pairs of user and client id) with counters of their own in an agent's metrics (varve_client_...); the others are summed under (other)"`
	MaxPartitions      int `yaml:"max_partitions" doc:"maximum number of partitions that an agent leads with metrics of their own (kafka_topic_partition_...); the others are counted in varve_partitions_without_series. 0: none"`
}

// gauges tells of this agent and the cluster at the moment that it is asked, without asking
// anybody else.
type gauges struct {
	version string
	start   *startup
}

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("varve_"+name, help, labels, nil)
}

var (
	buildInfo       = gaugeDesc("build_info", "1, with the version of the program and of Go.", "version", "goversion")
	ready           = gaugeDesc("ready", "1 if this agent serves what it owns (as /readyz), else 0.")
	diskFree        = gaugeDesc("disk_free_bytes", "Free space on the disk of the journals, what journal.reserve_bytes keeps included.")
	diskTotal       = gaugeDesc("disk_total_bytes", "Size of the disk of the journals.")
	diskFull        = gaugeDesc("disk_full", "1 while no further journal file can be made: producers are refused when the present one is full.")
	leaderless      = gaugeDesc("partitions_leaderless", "Partitions of the cluster without a live leader, as this agent sees it.")
	led             = gaugeDesc("partitions_led", "Partitions that this agent leads and serves.")
	unopened        = gaugeDesc("partitions_unserved", "Partitions that this agent leads and does not serve yet.")
	underReplicated = gaugeDesc("partitions_under_replicated", "Partitions that this agent leads while its journal has fewer connected members than replication.factor.")
	shortOfMembers  = gaugeDesc("journals_short_of_members", "Open journals of the cluster with fewer live members than replication.factor, as this agent sees it.")
	agentsExpected  = gaugeDesc("agents_expected", "Expected agents: all that registered and were neither forgotten nor drained and then stopped.")
	agentsLive      = gaugeDesc("agents_live", "Agents that have a session.")
	clusterLevel    = gaugeDesc("cluster_level", "Level that the cluster was finalized at, as this agent sees it.")
	knownLevel      = gaugeDesc("agent_level_max", "Newest level that this agent's build knows. Above varve_cluster_level: after an upgrade the cluster was not finalized yet.")
	bucketFailing   = gaugeDesc("bucket_unavailable", "1 while the bucket does not answer this agent, else 0.")
	brokers         = prometheus.NewDesc("kafka_brokers", "Agents that have a session. Reported by the controller.", nil, nil)
	clockSkew       = gaugeDesc("clock_skew_seconds", "How far the clock of etcd or of the bucket is ahead of this machine's; NaN while that is not known.", "to")
)

func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, ready, diskFree, diskTotal, diskFull, leaderless, led, unopened, underReplicated, shortOfMembers, agentsExpected, agentsLive, clusterLevel, knownLevel, bucketFailing, brokers, clockSkew} {
		ch <- d
	}
}

func (g gauges) Collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	tell(buildInfo, 1, g.version, runtime.Version())
	if !g.start.hasStarted() {
		tell(ready, 0)
		return
	}
	c := g.start.console.Load()
	tell(ready, yes(len(c.inspect.notReady()) == 0))
	disk := diskOf(c.process, c.store)
	tell(diskFree, float64(disk.FreeBytes))
	tell(diskTotal, float64(disk.TotalBytes))
	tell(diskFull, yes(disk.Full != ""))
	tell(bucketFailing, yes(c.inspect.places.bucket().Error != ""))
	level, _ := c.view.Levels.Cluster()
	tell(clusterLevel, float64(level.Level))
	tell(knownLevel, float64(c.view.Levels.Known.Max))
	tell(leaderless, float64(withoutLeader(c.view)))
	tell(led, float64(c.owned.Len()))
	if c.control.Active() {
		tell(brokers, float64(len(c.view.Agents())))
	}
	tell(unopened, float64(len(c.unserved.All())))
	g.members(c, tell)
	clocks := c.inspect.places.clocks()
	for name, ms := range map[string]*int64{"etcd": clocks.EtcdMs, "bucket": clocks.BucketMs} {
		skew := math.NaN() // not known
		if ms != nil {
			skew = float64(*ms) / 1000
		}
		tell(clockSkew, skew, name)
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (g gauges) members(c *console, tell func(*prometheus.Desc, float64, ...string)) {
	connected := 0
	for _, m := range c.peers.Members(c.mine()) {
		if m.Own || !m.Connected.IsZero() && !m.Behind {
			connected++
		}
	}
	under := 0
	if connected < c.cfg.Replication.Factor {
		under = c.owned.Len()
	}
	tell(underReplicated, float64(under))
	s := &health.Snapshot{}
	c.inspect.journals(s)
	tell(shortOfMembers, float64(s.Short(c.cfg.Replication.Factor)))
	expected := 0
	for _, x := range c.inspect.agents() {
		if x.Expected() {
			expected++
		}
	}
	tell(agentsExpected, float64(expected))
	tell(agentsLive, float64(len(c.view.Agents())))
}

// openMeters registers what is counted by topic and by group.
func (a *Agent) openMeters(groups *group.Groups) *meter.Topics {
	topics := meter.NewTopics(a.cfg.Metrics.MaxTopics, names{a.view}.live, sources{a.owned}.sizes)
	if a.deps.Registry != nil {
		lags := meter.NewLags(meter.LagBounds{Topics: a.cfg.Metrics.MaxGroupTopics, Partitions: a.cfg.Metrics.MaxGroupPartitions},
			func(ctx context.Context) ([]meter.Group, error) { return progress(ctx, groups, a.view) }, a.near.ends)
		partitions := meter.NewPartitions(a.cfg.Metrics.MaxPartitions, int32(a.self), sources{a.owned}.positions(a.view))
		a.deps.Registry.MustRegister(gauges{a.deps.Version, a.startup}, memoryGauges{a}, topics, lags, partitions)
	}
	return topics
}

// sizes returns how large the topics are.
func (s sources) sizes() map[id.Topic]meter.Size {
	out := map[id.Topic]meter.Size{}
	for _, p := range s.set.All() {
		local, tier := p.Sizes()
		sum := out[p.ID().Topic]
		out[p.ID().Topic] = meter.Size{Local: sum.Local + local, Tier: sum.Tier + tier}
	}
	return out
}

// positions returns where the partitions begin and end. Those of deleted topics are left out.
func (s sources) positions(view *cluster.View) func() []meter.Partition {
	return func() (out []meter.Partition) {
		ensembles, owners := view.Ensembles(), view.Owners()
		for _, p := range s.set.All() {
			t, ok := view.TopicByID(p.ID().Topic)
			if !ok {
				continue
			}
			e, at := ensembles[owners[p.ID()].Incarnation], p.State()
			out = append(out, meter.Partition{Topic: t.Name, Index: p.ID().Index, Oldest: at.LogStart, High: at.High,
				Replicas: max(1, len(e.Replicas)), InSync: max(1, len(e.Live)), PartitionsOfTopic: t.Partitions})
		}
		return out
	}
}

// progress is how far the groups that this agent coordinates got.
func progress(ctx context.Context, of *group.Groups, view *cluster.View) (out []meter.Group, err error) {
	groups, err := of.Progress(ctx)
	for _, g := range groups {
		n := meter.Group{Name: g.Group, Members: g.Members}
		for _, c := range g.Committed {
			t, ok := view.Topic(c.Topic)
			if !ok || c.ID != (id.Topic{}) && c.ID != t.ID {
				continue // committed for a topic that is gone
			}
			n.Committed = append(n.Committed, meter.Committed{At: id.Partition{Topic: t.ID, Index: c.Partition}, Topic: c.Topic, Offset: c.Offset})
		}
		out = append(out, n)
	}
	return out, err
}
