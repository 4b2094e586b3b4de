package read

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	requests prometheus.Counter
	bytes    prometheus.Counter
	served   prometheus.Counter
	failures prometheus.Counter
	hedges   *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	latency  prometheus.Histogram
	ahead    prometheus.Counter
	corrupt  prometheus.Counter
	refused  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Reader) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "varve_tier_read_" + name, Help: help})
	}
	m := &metrics{
		requests: counter("requests_total", "GET requests to the bucket, hedges and retries included."),
		bytes:    counter("fetched_bytes_total", "Bytes that came from the bucket."),
		served:   counter("served_bytes_total", "Bytes of record batches read from the tier."),
		failures: counter("request_errors_total", "GET requests that failed."),
		ahead:    counter("readahead_chunks_total", "Chunks read ahead for sequential readers."),
		corrupt:  counter("corrupt_total", "Parts of objects with wrong content."),
		refused:  auto.NewCounter(prometheus.CounterOpts{Name: "varve_tier_hole_reads_refused_total", Help: "Fetches refused because the records can't be read: their object is gone or damaged."}),
		hedges:   auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_tier_read_hedges_total", Help: "Hedged requests, by whether they were faster than the first."}, []string{"won"}),
		lookups:  auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_tier_read_cache_total", Help: "Look-ups in the read caches."}, []string{"kind", "hit"}),
		latency: auto.NewHistogram(prometheus.HistogramOpts{Name: "varve_tier_read_request_seconds", Help: "Time of one GET request, with its bytes.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}),
	}
	for _, yes := range []bool{true, false} {
		m.hedges.WithLabelValues(yesNo(yes))
		for _, kind := range kindNames[kindChunk:] {
			m.lookups.WithLabelValues(kind, yesNo(yes))
		}
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_tier_holes", Help: "Known ranges of records that can't be read: an object is gone or damaged. 'varve tier holes' lists them."},
		func() float64 { return float64(len(r.holes.list())) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_tier_read_memory_bytes", Help: "Memory that reads of the tier hold."},
		func() float64 { return float64(r.parts.memory.inUse()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_tier_read_meta_bytes", Help: "Memory of cached indexes and manifest pages."},
		func() float64 { return float64(r.parts.meta.cost()) })
	return m
}

var kindNames = [...]string{kindChunk: "chunk", kindBlock: "block", kindIndex: "index", kindState: "state", kindPage: "page", kindNewest: "newest"}

func (m *metrics) looked(kind uint8, hit bool) {
	m.lookups.WithLabelValues(kindNames[kind], yesNo(hit)).Inc()
}

func (m *metrics) got(bytes int, took time.Duration, err error) {
	m.requests.Inc()
	m.bytes.Add(float64(bytes))
	if err != nil {
		m.failures.Inc()
		return
	}
	m.latency.Observe(took.Seconds())
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
