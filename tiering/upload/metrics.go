package upload

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	objects *prometheus.CounterVec
	slices  prometheus.Counter
	raw     prometheus.Counter
	stored  prometheus.Counter
	pages   prometheus.Counter
	commits *prometheus.CounterVec
	errors  *prometheus.CounterVec
	put     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "varve_tier_upload_" + name, Help: help})
	}
	vec := func(name, label, help string, values ...string) *prometheus.CounterVec {
		c := auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_tier_upload_" + name, Help: help}, []string{label})
		for _, v := range values {
			c.WithLabelValues(v) // shown as 0, so that an increase is seen from the first on
		}
		return c
	}
	return &metrics{
		objects: vec("objects_total", "kind", "Objects uploaded, by kind: bundles of many partitions, segments of one.", "bundle", "segment"),
		slices:  counter("slices_total", "Slices in uploaded objects."),
		raw:     counter("record_bytes_total", "Bytes of record batches in uploaded objects, before compression by the tier."),
		stored:  counter("object_bytes_total", "Bytes of uploaded objects."),
		pages:   counter("pages_total", "Manifest pages that were written."),
		commits: vec("commits_total", "outcome", "Commits of partition heads, by outcome.", slices.Collect(maps.Values(outcomeNames))...),
		errors:  vec("errors_total", "step", "Failures by step: read, put, commit.", "read", "put", "commit"),
		put: auto.NewHistogram(prometheus.HistogramOpts{Name: "varve_tier_upload_put_seconds", Help: "Time of one successful upload.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 15)}),
	}
}

// uploadState tells what waits at the moment that it is asked: a pass may stand still for
// as long as an outage lasts.
type uploadState struct{ u *Uploader }

var (
	waitingBytes  = uploadDesc("waiting_bytes", "Committed bytes that are not in the tier yet.")
	oldestSeconds = uploadDesc("oldest_seconds", "Age of the oldest record that is not in the tier; 0 if there is none.")
	stuckCount    = uploadDesc("stuck_partitions", "Partitions that could not be uploaded for a minute or more; each keeps journal files from being freed.")
	lastSuccess   = uploadDesc("last_success_timestamp_seconds", "When a head was last committed, in seconds since 1970; 0: not since the start.")
)

func uploadDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("varve_tier_upload_"+name, help, nil, nil)
}

func (s uploadState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{waitingBytes, oldestSeconds, stuckCount, lastSuccess} {
		ch <- d
	}
}

func (s uploadState) Collect(ch chan<- prometheus.Metric) {
	bytes, oldest := s.u.Waiting()
	tell := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	tell(waitingBytes, float64(bytes))
	tell(oldestSeconds, oldest.Seconds())
	tell(stuckCount, float64(len(s.u.Stuck())))
	tell(lastSuccess, float64(s.u.succeeded.Load())/1000)
}
