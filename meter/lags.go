package meter

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
)

// Committed is how far a group got in one partition.
type Committed struct {
	At     id.Partition
	Topic  string
	Offset int64
}

// Group is a consumer group, the number of its members, and how far it got.
type Group struct {
	Name      string
	Members   int
	Committed []Committed
}

// LagBounds is how many series groups may have.
type LagBounds struct {
	Topics     int // groups with a number of members, and pairs of group and topic; 0: groups have no series at all
	Partitions int // triples of group, topic and partition
}

// Lags reports how far the groups of this agent are behind, at the moment that it is asked.
// Some of its series have the names of kafka_exporter.
type Lags struct {
	most   LagBounds
	groups func(ctx context.Context) ([]Group, error)
	ends   func(ctx context.Context) map[id.Partition]int64 // of all partitions that have a leader which reports them

	mu   sync.Mutex // held while they are gathered: a caller that asks meanwhile takes the same
	at   time.Time
	lags groupLags
}

// lagsFor is how long an answer is used again; it takes questions to all
// agents.
const (
	lagsFor    = 3 * time.Second
	gatherFor  = 2 * time.Second
	lagOfTopic = "varve_group_lag_records"
)

// NewLags makes a collector.
func NewLags(most LagBounds, groups func(context.Context) ([]Group, error), ends func(context.Context) map[id.Partition]int64) *Lags {
	return &Lags{most: most, groups: groups, ends: ends}
}

var (
	lagDesc     = prometheus.NewDesc(lagOfTopic, "Records between what a group committed and the end of the topic, summed over the partitions with a committed offset. Reported by the group's coordinator; missing while the leader of a partition does not report its end.", []string{"group", "topic"}, nil)
	droppedDesc = prometheus.NewDesc("varve_group_lag_dropped", "Pairs of group and topic without a series of varve_group_lag_records, because there are more than metrics.max_group_topics, or because the group's name is longer than 512 bytes or not UTF-8.", nil, nil)

	groupsDroppedDesc     = prometheus.NewDesc("varve_group_members_dropped", "Groups without a series of kafka_consumergroup_members, because there are more than metrics.max_group_topics, or because the group's name is longer than 512 bytes or not UTF-8.", nil, nil)
	partitionsDroppedDesc = prometheus.NewDesc("varve_group_partitions_dropped", "Triples of group, topic and partition without a series of kafka_consumergroup_lag, because there are more than metrics.max_group_partitions, or because of the group's name.", nil, nil)

	consumerMembers    = consumerDesc("members", "Members of a group. Reported by the group's coordinator.")
	consumerOffset     = consumerDesc("current_offset", "Offset that a group committed. Reported by the group's coordinator.", "topic", "partition")
	consumerOffsetSum  = consumerDesc("current_offset_sum", "Sum of the offsets that a group committed for a topic.", "topic")
	consumerLag        = consumerDesc("lag", "Records between what a group committed and the high watermark. Missing while the partition's leader does not report it.", "topic", "partition")
	consumerLagSum     = consumerDesc("lag_sum", "The same as varve_group_lag_records, by the name that kafka_exporter has for it.", "topic")
	allDescsOfConsumer = []*prometheus.Desc{lagDesc, droppedDesc, groupsDroppedDesc, partitionsDroppedDesc, consumerMembers, consumerOffset, consumerOffsetSum, consumerLag, consumerLagSum}
)

func consumerDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("kafka_consumergroup_"+name, help, append([]string{"consumergroup"}, more...), nil)
}

// Describe implements prometheus.Collector.
func (l *Lags) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allDescsOfConsumer {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (l *Lags) Collect(ch chan<- prometheus.Metric) {
	if l.most.Topics == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) >= lagsFor {
		l.gather()
	}
	l.lags.collect(ch)
}

// gather asks for what is needed; the lock is held.
func (l *Lags) gather() {
	ctx, cancel := context.WithTimeout(context.Background(), gatherFor)
	defer cancel()
	l.lags = groupLags{}
	groups, err := l.groups(ctx)
	if err != nil || len(groups) == 0 {
		return
	}
	l.lags = lagsOf(groups, l.ends(ctx), l.most)
	l.at = time.Now()
}

// groupLags is what there are series of.
type groupLags struct {
	members    []membersOf
	topics     []topicLag
	partitions []partitionLag
	dropped    struct{ members, topics, partitions int }
}

type membersOf struct {
	group   string
	members int
}

// lag is how far a group got, and how far it is behind if that is known.
type lag struct {
	offset, behind int64
	known          bool
}

type topicLag struct {
	group, topic string
	lag
}

type partitionLag struct {
	group, topic string
	index        int32
	lag
}

// lagsOf computes the lags of groups in order of their names, so that the same ones have series
// each time. It changes the order of groups.
func lagsOf(groups []Group, ends map[id.Partition]int64, most LagBounds) (out groupLags) {
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	for _, g := range groups {
		if !shown(g.Name) {
			out.dropped.members++
			out.add(g, ends, LagBounds{})
			continue
		}
		if len(out.members) < most.Topics {
			out.members = append(out.members, membersOf{g.Name, g.Members})
		} else {
			out.dropped.members++
		}
		out.add(g, ends, most)
	}
	return out
}

// mostName is the longest name of a group that has series, in bytes: there may be thousands of them.
const mostName = 512

// shown reports whether a group can have series. Clients choose the names: one that isn't UTF-8 can't be
// a label, and would take all other metrics away.
func shown(group string) bool { return len(group) <= mostName && utf8.ValidString(group) }

// add computes the lags of one group.
func (l *groupLags) add(g Group, ends map[id.Partition]int64, most LagBounds) {
	sums := map[string]lag{}
	for _, c := range g.Committed {
		one := lag{offset: c.Offset}
		if end, known := ends[c.At]; known {
			one.behind, one.known = max(0, end-c.Offset), true
		}
		sum, begun := sums[c.Topic]
		sums[c.Topic] = lag{sum.offset + one.offset, sum.behind + one.behind, (sum.known || !begun) && one.known}
		if len(l.partitions) < most.Partitions {
			l.partitions = append(l.partitions, partitionLag{g.Name, c.Topic, c.At.Index, one})
		} else {
			l.dropped.partitions++
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(sums)) {
		if len(l.topics) < most.Topics {
			l.topics = append(l.topics, topicLag{g.Name, topic, sums[topic]})
		} else {
			l.dropped.topics++
		}
	}
}

// collect sends the series.
func (l *groupLags) collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, g := range l.members {
		tell(consumerMembers, int64(g.members), g.group)
	}
	for _, t := range l.topics {
		tell(consumerOffsetSum, t.offset, t.group, t.topic)
		if t.known {
			tell(lagDesc, t.behind, t.group, t.topic)
			tell(consumerLagSum, t.behind, t.group, t.topic)
		}
	}
	for _, p := range l.partitions {
		index := strconv.Itoa(int(p.index))
		tell(consumerOffset, p.offset, p.group, p.topic, index)
		if p.known {
			tell(consumerLag, p.behind, p.group, p.topic, index)
		}
	}
	tell(droppedDesc, int64(l.dropped.topics))
	tell(groupsDroppedDesc, int64(l.dropped.members))
	tell(partitionsDroppedDesc, int64(l.dropped.partitions))
}
