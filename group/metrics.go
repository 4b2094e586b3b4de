package group

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what the coordinator counts; a nil registerer leaves them
// unregistered.
type metrics struct {
	groups        *prometheus.GaugeVec
	loaded        prometheus.Gauge
	counts        [CountDeletedOffsets + 1]prometheus.Counter
	commitSeconds prometheus.Histogram
	conflicts     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		groups: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "varve_group_groups", Help: "Groups that this agent coordinates, by state."}, []string{"state"}),
		loaded: auto.NewGauge(prometheus.GaugeOpts{
			Name: "varve_group_loaded", Help: "Groups loaded into memory."}),
		commitSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "varve_group_commit_seconds", Help: "Time of offset commits, from the request to the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}),
		conflicts: counter("varve_group_store_failures_total", "Failed writes of groups, after which the group was reloaded."),
	}
	m.counts = [...]prometheus.Counter{
		CountRebalances:     counter("varve_group_rebalances_total", "Rebalances that ended with a stable group."),
		CountExpiredMembers: counter("varve_group_expired_members_total", "Members whose session ended without a heartbeat."),
		CountCommits:        counter("varve_group_committed_offsets_total", "Offsets that were committed."),
		CountExpiredOffsets: counter("varve_group_expired_offsets_total", "Offsets that expired."),
		CountDeletedOffsets: counter("varve_group_deleted_offsets_total", "Offsets that were deleted on request or with their topic."),
	}
	for s := Dead; s <= Stable; s++ {
		m.groups.WithLabelValues(s.String()) // so that a rate can be taken from the start
	}
	return m
}
