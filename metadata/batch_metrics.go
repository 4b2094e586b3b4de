package metadata

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// writerMetrics are what a Writer counts; a nil registerer leaves them
// unregistered.
type writerMetrics struct {
	txns      prometheus.Counter
	ops       prometheus.Histogram
	coalesced prometheus.Counter
	splits    prometheus.Counter
	retries   prometheus.Counter
	queued    prometheus.Gauge
}

func newWriterMetrics(reg prometheus.Registerer) *writerMetrics {
	auto := promauto.With(reg)
	m := &writerMetrics{
		txns: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_writer_transactions_total", Help: "Transactions that the batching writer sent."}),
		ops: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "varve_metadata_writer_transaction_ops", Help: "Writes in each transaction of the batching writer.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8)}),
		coalesced: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_writer_coalesced_total", Help: "Values replaced by newer ones before they were sent."}),
		splits: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_writer_splits_total", Help: "Transactions that were split because a guard of one group failed."}),
		retries: auto.NewCounter(prometheus.CounterOpts{
			Name: "varve_metadata_writer_retries_total", Help: "Transactions that were sent again after an outage."}),
		queued: auto.NewGauge(prometheus.GaugeOpts{
			Name: "varve_metadata_writer_queued", Help: "Groups of writes waiting to be sent."}),
	}
	return m
}
