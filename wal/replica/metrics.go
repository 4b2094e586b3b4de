package replica

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"varve/internal/id"
)

type metrics struct {
	sent, received prometheus.Counter
	durable        *prometheus.CounterVec
	connects       *prometheus.CounterVec
	lost           prometheus.Counter
	fences, copies prometheus.Counter
	copied         prometheus.Counter
	skips          prometheus.Counter
	refused        *prometheus.CounterVec
	plain          prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	auto := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "varve_replica_" + name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_replica_" + name, Help: help}, labels)
	}
	m := &metrics{
		sent:     counter("sent_bytes_total", "Bytes sent to other agents' stores, frames included."),
		received: counter("received_bytes_total", "Bytes received from other agents, frames included."),
		durable:  vec("durable_entries_total", "Entries of other agents' journals made durable here, by writer's store and the broker that had it.", "store", "broker"),
		connects: vec("connects_total", "Connections made to members of this agent's journals, by store and the broker that had it.", "store", "broker"),
		lost:     counter("connections_lost_total", "Connections to other agents that were lost."),
		fences:   counter("fences_total", "Journals fenced on this store."),
		copies:   counter("copies_total", "Copies between stores made during recoveries."),
		copied:   counter("copied_bytes_total", "Bytes copied between stores during recoveries."),
		skips:    counter("skips_total", "Times that a copy continued after entries that its source had trimmed."),
		plain:    counter("plain_connections_total", "Connections from and to other agents without TLS, while peer.tls.optional is on."),
		refused:  vec("refused_total", "Connections refused, by reason.", "reason"),
	}
	for _, reason := range []string{"too_many", "tls", "hello"} {
		m.refused.WithLabelValues(reason) // shown before the first
	}
	return m
}

// labels name a store, and the broker that has it, or had it last; "" if no one knows.
func (d *Deps) labels(s id.Store) []string {
	broker, known := d.Broker, s == d.Store.ID()
	if !known && d.Home != nil {
		broker, known = d.Home(s)
	}
	if !known {
		return []string{s.String(), ""}
	}
	return []string{s.String(), broker.String()}
}

// lagCollector collects each member's lag at the moment of the scrape.
type lagCollector struct {
	written *written
	deps    *Deps
}

var (
	lagBytes   = prometheus.NewDesc("varve_replica_lag_bytes", "Replication lag of a journal member, in bytes.", []string{"journal", "store", "broker"}, nil)
	lagEntries = prometheus.NewDesc("varve_replica_lag_entries", "Replication lag of a journal member, in entries.", []string{"journal", "store", "broker"}, nil)
	connected  = prometheus.NewDesc("varve_replica_connected", "Whether a member of this agent's journal is connected.", []string{"journal", "store", "broker"}, nil)
)

func (c lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagBytes
	ch <- lagEntries
	ch <- connected
}

func (c lagCollector) Collect(ch chan<- prometheus.Metric) {
	for _, j := range c.written.all() {
		if j.isLeft() {
			continue // replaced by another, and kept only until the bucket has all of it
		}
		for _, m := range j.members() {
			is := 0.0
			if m.Own || !m.Connected.IsZero() {
				is = 1
			}
			labels := append([]string{j.id.String()}, c.deps.labels(m.Store)...)
			ch <- prometheus.MustNewConstMetric(lagBytes, prometheus.GaugeValue, float64(m.LagBytes), labels...)
			ch <- prometheus.MustNewConstMetric(lagEntries, prometheus.GaugeValue, float64(m.LagEntries), labels...)
			ch <- prometheus.MustNewConstMetric(connected, prometheus.GaugeValue, is, labels...)
		}
	}
}
