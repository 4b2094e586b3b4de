package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	requests map[int16]prometheus.Counter
	latency  map[int16]prometheus.Observer
	errors   *prometheus.CounterVec
	badConns prometheus.Counter
	conns    prometheus.Gauge
	refused  prometheus.Counter
	inBytes  prometheus.Counter
	outBytes prometheus.Counter
	records  prometheus.Counter
	produced prometheus.Counter
	fetched  *prometheus.CounterVec
	throttle prometheus.Counter
	unlogged *prometheus.CounterVec

	allowed, denied           prometheus.Counter // decisions of the authorizer
	fetchedLocal, fetchedTier prometheus.Counter
	byAPI                     *prometheus.CounterVec
	byLatency                 *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	auto := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		byAPI: auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_kafka_requests_total", Help: "Requests by API."}, []string{"api"}),
		byLatency: auto.NewHistogramVec(prometheus.HistogramOpts{Name: "varve_kafka_request_seconds", Help: "Time from a request's arrival to its answer being written, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14)}, []string{"api"}),
		errors:   auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_kafka_errors_total", Help: "Error codes in answers to produce and fetch requests, by partition."}, []string{"api", "error"}),
		badConns: counter("varve_kafka_bad_connections_total", "Connections closed for malformed or late requests."),
		conns:    auto.NewGauge(prometheus.GaugeOpts{Name: "varve_kafka_connections", Help: "Open client connections."}),
		refused:  counter("varve_kafka_refused_connections_total", "Connections refused because there were too many."),
		inBytes:  counter("varve_kafka_received_bytes_total", "Bytes of requests."),
		outBytes: counter("varve_kafka_sent_bytes_total", "Bytes of answers."),
		records:  counter("varve_produced_records_total", "Records acknowledged."),
		produced: counter("varve_produced_bytes_total", "Bytes of record batches acknowledged."),
		fetched:  auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_fetched_bytes_total", Help: "Bytes of record batches fetched, by source (local, tier)."}, []string{"from"}),
		throttle: counter("varve_produce_throttled_seconds_total", "Time that producers were throttled because the journal was filling up."),
	}
	m.unlogged = auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_kafka_lines_not_logged_total", Help: "Log lines about clients that were not written, by line, because they repeat or there were too many about the principal or network."}, []string{"line"})
	decisions := auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_authorization_decisions_total", Help: "Decisions by ACLs, by result (allowed, denied). None are made while security.authorizer is none."}, []string{"result"})
	m.allowed, m.denied = decisions.WithLabelValues("allowed"), decisions.WithLabelValues("denied")
	m.fetchedLocal, m.fetchedTier = m.fetched.WithLabelValues("local"), m.fetched.WithLabelValues("tier")
	return m
}

// quiet makes what keeps lines of a kind from filling the log.
func (m *metrics) quiet(line string, each int) *quiet {
	return newQuiet(each, m.unlogged.WithLabelValues(line))
}

// prepare makes the children of every API, so that the hot path looks none up.
func (m *metrics) prepare(apis map[int16]*api) {
	m.requests, m.latency = map[int16]prometheus.Counter{}, map[int16]prometheus.Observer{}
	for key, a := range apis {
		m.requests[key] = m.byAPI.WithLabelValues(a.key.Name())
		m.latency[key] = m.byLatency.WithLabelValues(a.key.Name())
	}
}
