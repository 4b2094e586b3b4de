package meter

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
)

// Committed is how far a group got in one partition.
type Committed struct {
	At     id.Partition
	Topic  string
	Offset int64
}

// Group is a consumer group, and how far it got.
type Group struct {
	Name      string
	Committed []Committed
}

// Lags reports how far the groups of this agent are behind, at the moment that it is asked.
type Lags struct {
	most   int
	groups func(ctx context.Context) ([]Group, error)
	ends   func(ctx context.Context) map[id.Partition]int64 // of all partitions that have a leader which reports them

	mu      sync.Mutex // held while they are gathered: a caller that asks meanwhile takes the same
	at      time.Time
	lags    map[lagKey]int64
	dropped int
}

type lagKey struct{ group, topic string }

// lagsFor is how long an answer is used again; it takes questions to all
// agents.
const (
	lagsFor    = 3 * time.Second
	gatherFor  = 2 * time.Second
	lagOfTopic = "varve_group_lag_records"
)

// NewLags makes a collector of at most that many series.
func NewLags(most int, groups func(context.Context) ([]Group, error), ends func(context.Context) map[id.Partition]int64) *Lags {
	return &Lags{most: most, groups: groups, ends: ends}
}

var (
	lagDesc     = prometheus.NewDesc(lagOfTopic, "Records between what a group committed and the end of the topic, summed over the partitions with a committed offset. Reported by the group's coordinator; missing while the leader of a partition does not report its end.", []string{"group", "topic"}, nil)
	droppedDesc = prometheus.NewDesc("varve_group_lag_dropped", "Pairs of group and topic without a series of varve_group_lag_records, because there are more than metrics.max_group_topics.", nil, nil)
)

// Describe implements prometheus.Collector.
func (l *Lags) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagDesc
	ch <- droppedDesc
}

// Collect implements prometheus.Collector.
func (l *Lags) Collect(ch chan<- prometheus.Metric) {
	if l.most == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) >= lagsFor {
		l.gather()
	}
	for k, n := range l.lags {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(n), k.group, k.topic)
	}
	ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.GaugeValue, float64(l.dropped))
}

// gather asks for what is needed; the lock is held.
func (l *Lags) gather() {
	ctx, cancel := context.WithTimeout(context.Background(), gatherFor)
	defer cancel()
	l.lags, l.dropped = nil, 0
	groups, err := l.groups(ctx)
	if err != nil || len(groups) == 0 {
		return
	}
	l.lags, l.dropped = lags(groups, l.ends(ctx), l.most)
	l.at = time.Now()
}

// lags are the sums by group and topic; of those with a partition of unknown end there is
// none.
func lags(groups []Group, ends map[id.Partition]int64, most int) (out map[lagKey]int64, dropped int) {
	out = map[lagKey]int64{}
	for _, g := range groups {
		sums, unknown := map[string]int64{}, map[string]bool{}
		for _, c := range g.Committed {
			end, known := ends[c.At]
			unknown[c.Topic] = unknown[c.Topic] || !known
			sums[c.Topic] += max(0, end-c.Offset)
		}
		for topic, n := range sums {
			switch {
			case unknown[topic]:
			case len(out) >= most:
				dropped++
			default:
				out[lagKey{g.Name, topic}] = n
			}
		}
	}
	return out, dropped
}
