// Package meter counts what clients do with each topic, and tells how large topics are,
// where partitions end and how far groups are behind.
//
// It promises that a partition finds its counters once, when it is opened, and that the
// number of series is bounded: topics beyond the bound share one, groups and partitions beyond
// it have none and are counted.
package meter

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
)

// Traffic is what clients wrote to the partitions of a topic that are here, and read from
// them.
type Traffic struct{ BytesIn, RecordsIn, BytesOut, RecordsOut atomic.Int64 }

// In counts what was written.
func (t *Traffic) In(bytes, records int64) {
	t.BytesIn.Add(bytes)
	t.RecordsIn.Add(records)
}

// Out counts what was read.
func (t *Traffic) Out(bytes, records int64) {
	t.BytesOut.Add(bytes)
	t.RecordsOut.Add(records)
}

// Others is the label of topics that have no series of their own. No topic has this name.
const Others = "(other)"

// Size is how much of a topic the partitions here have.
type Size struct{ Local, Tier int64 }

// Topics keeps the counters of topics, and is their collector.
type Topics struct {
	most  int
	name  func(id.Topic) string    // "": it is gone
	sizes func() map[id.Topic]Size // of what is open here
	other Traffic

	mu struct {
		sync.Mutex
		by map[id.Topic]*Traffic
	}
}

// totals are counters at a moment.
type totals struct{ bytesIn, recordsIn, bytesOut, recordsOut int64 }

func (s *totals) add(t *Traffic) {
	s.bytesIn += t.BytesIn.Load()
	s.recordsIn += t.RecordsIn.Load()
	s.bytesOut += t.BytesOut.Load()
	s.recordsOut += t.RecordsOut.Load()
}

// NewTopics makes counters for at most that many topics of their own.
func NewTopics(most int, name func(id.Topic) string, sizes func() map[id.Topic]Size) *Topics {
	m := &Topics{most: most, name: name, sizes: sizes}
	m.mu.by = map[id.Topic]*Traffic{}
	return m
}

// Of returns a topic's counters.
func (m *Topics) Of(t id.Topic) *Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.mu.by[t]; c != nil {
		return c
	}
	if len(m.mu.by) >= m.most {
		m.forget()
	}
	if len(m.mu.by) >= m.most {
		return &m.other
	}
	c := new(Traffic)
	m.mu.by[t] = c
	return c
}

// forget drops topics that are gone; the lock is held.
func (m *Topics) forget() {
	for t := range m.mu.by {
		if m.name(t) == "" {
			delete(m.mu.by, t)
		}
	}
}

var (
	bytesIn    = topicDesc("bytes_in_total", "Bytes of record batches that clients wrote, by topic. Topics beyond metrics.max_topics are one, \"(other)\".")
	recordsIn  = topicDesc("records_in_total", "Records that clients wrote, by topic.")
	bytesOut   = topicDesc("bytes_out_total", "Bytes of record batches that clients were sent, by topic.")
	recordsOut = topicDesc("records_out_total", "Records that clients were sent, by topic.")
	logBytes   = topicDesc("log_bytes", "Bytes of record batches of the partitions that this agent leads, by topic, on its disk and in the bucket (tier). What is in both counts in both.", "where")
)

func topicDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("varve_topic_"+name, help, append([]string{"topic"}, more...), nil)
}

// Describe implements prometheus.Collector.
func (m *Topics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bytesIn, recordsIn, bytesOut, recordsOut, logBytes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Topics) Collect(ch chan<- prometheus.Metric) {
	sums, own := m.totals()
	for name, s := range sums {
		for d, n := range map[*prometheus.Desc]int64{bytesIn: s.bytesIn, recordsIn: s.recordsIn, bytesOut: s.bytesOut, recordsOut: s.recordsOut} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), name)
		}
	}
	by := map[string]Size{}
	for t, s := range m.sizes() {
		name := Others
		if own[t] {
			name = m.name(t)
		}
		if name == "" {
			continue
		}
		sum := by[name]
		by[name] = Size{sum.Local + s.Local, sum.Tier + s.Tier}
	}
	for name, s := range by {
		ch <- prometheus.MustNewConstMetric(logBytes, prometheus.GaugeValue, float64(s.Local), name, "local")
		ch <- prometheus.MustNewConstMetric(logBytes, prometheus.GaugeValue, float64(s.Tier), name, "tier")
	}
}

// totals sums up the counters by name: a topic that was deleted and made again is one. own
// are the topics that have counters of their own.
func (m *Topics) totals() (sums map[string]*totals, own map[id.Topic]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	sums, own = map[string]*totals{}, make(map[id.Topic]bool, len(m.mu.by))
	for t, c := range m.mu.by {
		own[t] = true
		name := m.name(t)
		if sums[name] == nil {
			sums[name] = new(totals)
		}
		sums[name].add(c)
	}
	rest := new(totals)
	if rest.add(&m.other); *rest != (totals{}) {
		sums[Others] = rest
	}
	return sums, own
}
