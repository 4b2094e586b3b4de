package metadata

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// storeMetrics are what the etcd store counts; a nil registerer leaves them
// unregistered.
type storeMetrics struct {
	requests    *prometheus.CounterVec
	errors      *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	resets      prometheus.Counter
	outages     prometheus.Counter
	lost        prometheus.Counter
	unavailable prometheus.Gauge
}

func newStoreMetrics(reg prometheus.Registerer) *storeMetrics {
	auto := promauto.With(reg)
	m := &storeMetrics{
		requests: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "varve_metadata_requests_total", Help: "Requests to the metadata store, by operation."}, []string{"op"}),
		errors: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "varve_metadata_errors_total", Help: "Failed requests to the metadata store, by operation and kind."}, []string{"op", "kind"}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "varve_metadata_request_seconds", Help: "Time of requests to the metadata store, by operation.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"op"}),
		resets: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_watch_resets_total", Help: "Watches that lost their position and reloaded the whole state."}),
		outages: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_outages_total", Help: "Times that the metadata store became unavailable."}),
		lost: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_sessions_lost_total", Help: "Sessions whose lease the metadata store ended."}),
		unavailable: auto.NewGauge(prometheus.GaugeOpts{
			Name: "varve_metadata_unavailable", Help: "1 while the metadata store can't be reached, else 0."}),
	}
	return m
}

// observe counts one request.
func (m *storeMetrics) observe(op string, start time.Time, err error) {
	m.requests.WithLabelValues(op).Inc()
	m.seconds.WithLabelValues(op).Observe(time.Since(start).Seconds())
	if err != nil {
		m.errors.WithLabelValues(op, kindOf(err)).Inc()
	}
}
