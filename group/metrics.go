package group

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"varve/coordinator"
	"varve/group/classic"
)

// What is counted, besides what classic counts.
const (
	CountCommits        coordinator.Counter = "commits"
	CountExpiredOffsets coordinator.Counter = "expired offsets"
	CountDeletedOffsets coordinator.Counter = "deleted offsets"
)

// metrics are what is counted of groups; a nil registerer leaves them unregistered.
type metrics struct {
	driver        coordinator.Metrics
	commitSeconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		driver: coordinator.Metrics{
			Machines: auto.NewGaugeVec(prometheus.GaugeOpts{
				Name: "varve_group_groups", Help: "Groups that this agent coordinates, by state."}, []string{"state"}),
			Loaded: auto.NewGauge(prometheus.GaugeOpts{
				Name: "varve_group_loaded", Help: "Groups loaded into memory."}),
			StoreFailures: counter("varve_group_store_failures_total", "Failed writes of groups, after which the group was reloaded."),
			Counts: map[coordinator.Counter]prometheus.Counter{
				classic.CountRebalances:     counter("varve_group_rebalances_total", "Rebalances that ended with a stable group."),
				classic.CountExpiredMembers: counter("varve_group_expired_members_total", "Members whose session ended without a heartbeat."),
				CountCommits:                counter("varve_group_committed_offsets_total", "Offsets that were committed."),
				CountExpiredOffsets:         counter("varve_group_expired_offsets_total", "Offsets that expired."),
				CountDeletedOffsets:         counter("varve_group_deleted_offsets_total", "Offsets that were deleted on request or with their topic."),
			},
		},
		commitSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "varve_group_commit_seconds", Help: "Time of offset commits, from the request to the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}),
	}
	for s := classic.Dead; s <= classic.Stable; s++ {
		m.driver.Machines.WithLabelValues(s.String()) // so that a rate can be taken from the start
	}
	return m
}
