package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what WithMetrics counts, all by operation.
type metrics struct {
	requests *prometheus.CounterVec   // op
	failures *prometheus.CounterVec   // op, kind
	bytes    *prometheus.CounterVec   // op
	inFlight *prometheus.GaugeVec     // op
	seconds  *prometheus.HistogramVec // op
	open     attempts
}

// attempts are those under way, so that one that gets no answer is seen before it ends.
type attempts struct {
	mu    sync.Mutex
	next  uint64
	began map[uint64]attempt
}

type attempt struct {
	op Op
	at time.Time
}

func (a *attempts) begin(op Op) (end func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.began == nil {
		a.began = map[uint64]attempt{}
	}
	n := a.next
	a.next++
	a.began[n] = attempt{op, time.Now()}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.began, n)
	}
}

var oldestDesc = prometheus.NewDesc("varve_s3store_oldest_attempt_seconds", "For how long the oldest attempt under way has waited for its answer; 0 if there is none.", []string{"op"}, nil)

// Describe implements prometheus.Collector.
func (a *attempts) Describe(ch chan<- *prometheus.Desc) { ch <- oldestDesc }

// Collect implements prometheus.Collector.
func (a *attempts) Collect(ch chan<- prometheus.Metric) {
	oldest := map[Op]time.Duration{}
	a.mu.Lock()
	for _, x := range a.began {
		oldest[x.op] = max(oldest[x.op], time.Since(x.at))
	}
	a.mu.Unlock()
	for _, op := range allOps {
		ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, oldest[op].Seconds(), string(op))
	}
}

func newMetrics() *metrics {
	const prefix = "varve_s3store_"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	}
	return &metrics{
		requests: counter("requests_total", "Attempts made at the object store.", "op"),
		failures: counter("errors_total", "Attempts that failed, by kind of error.", "op", "kind"),
		bytes:    counter("bytes_total", "Bytes of objects written or read.", "op"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "in_flight", Help: "Attempts under way; streams count until they are closed.",
		}, []string{"op"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "request_seconds", Help: "Time of an attempt; of a get, until its stream begins.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"op"}),
	}
}

// register adds the metrics to a registry and makes every series exist, so that
// a rate over the first error isn't lost.
func (m *metrics) register(registerer prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.requests, m.failures, m.bytes, m.inFlight, m.seconds, &m.open} {
		if err := registerer.Register(c); err != nil {
			return fmt.Errorf("register s3store metrics: %w", err)
		}
	}
	for _, op := range allOps {
		m.requests.WithLabelValues(string(op))
		m.failures.WithLabelValues(string(op), "transient")
		m.inFlight.WithLabelValues(string(op))
		m.seconds.WithLabelValues(string(op))
	}
	return nil
}

// begin counts an attempt and returns what ends it.
func (m *metrics) begin(op Op) (end func(error)) {
	began := time.Now()
	m.requests.WithLabelValues(string(op)).Inc()
	m.inFlight.WithLabelValues(string(op)).Inc()
	answered := m.open.begin(op)
	return func(err error) {
		answered()
		m.seconds.WithLabelValues(string(op)).Observe(time.Since(began).Seconds())
		m.inFlight.WithLabelValues(string(op)).Dec()
		m.failed(op, err)
	}
}

func (m *metrics) failed(op Op, err error) {
	if err != nil {
		m.failures.WithLabelValues(string(op), kindOf(err)).Inc()
	}
}

func (m *metrics) moved(op Op, bytes int64) {
	m.bytes.WithLabelValues(string(op)).Add(float64(bytes))
}

type measured struct {
	Store
	metrics *metrics
}

// WithMetrics counts attempts, errors by kind, bytes, durations and what is in
// flight, for each operation. Without a registerer it returns the store itself.
func WithMetrics(inner Store, registerer prometheus.Registerer) (Store, error) {
	if registerer == nil {
		return inner, nil
	}
	m := newMetrics()
	if err := m.register(registerer); err != nil {
		return nil, err
	}
	return &measured{inner, m}, nil
}

func (s *measured) Put(ctx context.Context, key string, body Body) error {
	return s.put(OpPut, body, func() error { return s.Store.Put(ctx, key, body) })
}

func (s *measured) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return s.put(OpPutIfAbsent, body, func() error { return s.Store.PutIfAbsent(ctx, key, body) })
}

func (s *measured) put(op Op, body Body, do func() error) error {
	end := s.metrics.begin(op)
	err := do()
	end(err)
	if err == nil {
		s.metrics.moved(op, body.Size())
	}
	return err
}

func (s *measured) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	end := s.metrics.begin(OpGet)
	body, err := s.Store.Get(ctx, key, off, length)
	end(err)
	if err != nil {
		return nil, err
	}
	open := s.metrics.inFlight.WithLabelValues(string(OpGet))
	open.Inc()
	return &measuredStream{ReadCloser: body, metrics: s.metrics, closed: sync.OnceFunc(open.Dec)}, nil
}

func (s *measured) Head(ctx context.Context, key string) (Object, error) {
	end := s.metrics.begin(OpHead)
	object, err := s.Store.Head(ctx, key)
	end(err)
	return object, err
}

func (s *measured) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	end := s.metrics.begin(OpList)
	err := s.Store.List(ctx, prefix, after, each)
	end(err)
	return err
}

func (s *measured) Delete(ctx context.Context, keys []string) error {
	end := s.metrics.begin(OpDelete)
	err := s.Store.Delete(ctx, keys)
	end(err)
	return err
}

// measuredStream counts the bytes that are read and the error that ends them.
type measuredStream struct {
	io.ReadCloser
	metrics *metrics
	closed  func()
}

func (s *measuredStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.metrics.moved(OpGet, int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		s.metrics.failed(OpGet, err)
	}
	return n, err
}

func (s *measuredStream) Close() error {
	s.closed()
	return s.ReadCloser.Close()
}
