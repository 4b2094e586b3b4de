package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"varve/kafka"
)

// Errors of what is pushed.
var (
	ErrCompression = errors.New("compression type is unknown")
	ErrMetrics     = errors.New("metrics can't be read")
)

const (
	maxUnpacked = 4 << 20 // bytes that a push may be decompressed to
	maxLabel    = 200     // bytes of a label's value
	keptFor     = 3       // intervals after which series of a silent client go
)

// Series are the metrics of clients, as Prometheus gets them. They are one family, whose label
// metric has the client's name of it: clients choose the names.
type Series struct {
	most    int
	dropped prometheus.Counter
	decode  sync.Mutex // held while a push is decompressed and read: one at a time bounds the memory

	mu struct {
		sync.Mutex
		clients map[uuid.UUID]*pushed
		count   int
	}
}

// pushed are the series of one client.
type pushed struct {
	client Client
	until  time.Time
	values map[seriesKey]float64
}

type seriesKey struct{ metric, attributes string }

// NewSeries makes a sink with at most that many series; the others are counted.
func NewSeries(most int) *Series {
	s := &Series{most: most, dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_client_metrics_dropped_total",
		Help: "Values that clients pushed and that have no series, because there are more than metrics.max_client_series."})}
	s.mu.clients = map[uuid.UUID]*pushed{}
	return s
}

var clientMetric = prometheus.NewDesc("varve_client_metric", "Metrics that clients push to this agent (KIP-714), by the client's name of the metric and its attributes.",
	[]string{"metric", "attributes", "client_instance_id", "client_id", "client_software_name", "client_software_version"}, nil)

// Describe implements prometheus.Collector.
func (s *Series) Describe(ch chan<- *prometheus.Desc) {
	ch <- clientMetric
	s.dropped.Describe(ch)
}

// Collect implements prometheus.Collector.
func (s *Series) Collect(ch chan<- prometheus.Metric) { s.collect(ch, time.Now()) }

func (s *Series) collect(ch chan<- prometheus.Metric, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	for id, p := range s.mu.clients {
		c := &p.client
		for k, v := range p.values {
			ch <- prometheus.MustNewConstMetric(clientMetric, prometheus.UntypedValue, v, k.metric, k.attributes, id.String(), label(c.ID), label(c.SoftwareName), label(c.SoftwareVersion))
		}
	}
	s.dropped.Collect(ch)
}

// forget drops the series of clients that are silent. The lock is held.
func (s *Series) forget(now time.Time) {
	for id, p := range s.mu.clients {
		if now.After(p.until) {
			s.drop(id)
		}
	}
}

func (s *Series) drop(id uuid.UUID) {
	if p := s.mu.clients[id]; p != nil {
		s.mu.count -= len(p.values)
		delete(s.mu.clients, id)
	}
}

// take reads a push. The last one of a client ends its series.
func (s *Series) take(p *Push, c *Client, interval time.Duration, now time.Time) error {
	points, err := s.read(p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Terminating {
		s.drop(p.Instance)
		return nil
	}
	of := s.mu.clients[p.Instance]
	if of == nil {
		if len(points) == 0 {
			return nil
		}
		of = &pushed{values: map[seriesKey]float64{}}
		s.mu.clients[p.Instance] = of
	}
	of.client, of.until = *c, now.Add(keptFor*interval)
	if s.mu.count+len(points) > s.most {
		s.forget(now)
	}
	for _, x := range points {
		was, known := of.values[x.key]
		if !known {
			if s.mu.count >= s.most {
				s.dropped.Inc()
				continue
			}
			s.mu.count++
		}
		if x.delta {
			x.value += was
		}
		of.values[x.key] = x.value
	}
	return nil
}

// point is one value of a push.
type point struct {
	key   seriesKey
	value float64
	delta bool // it is added to the one before
}

// read decompresses and decodes a push.
func (s *Series) read(p *Push) (out []point, err error) {
	if len(p.Metrics) == 0 {
		return nil, nil
	}
	s.decode.Lock()
	defer s.decode.Unlock()
	body, err := kafka.Decompress(kafka.Codec(p.Compression), p.Metrics, maxUnpacked)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetrics, err)
	}
	var data metrics.MetricsData
	if err := proto.Unmarshal(body, &data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetrics, err)
	}
	for _, r := range data.ResourceMetrics {
		for _, scope := range r.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				out = points(out, m)
			}
		}
	}
	return out, nil
}

// points appends the values of a metric. Of a histogram there are its sum and its count.
func points(out []point, m *metrics.Metric) []point {
	add := func(suffix string, attributes []*common.KeyValue, v float64, delta bool) {
		out = append(out, point{seriesKey{label(m.Name) + suffix, attributesOf(attributes)}, v, delta})
	}
	for _, p := range m.GetGauge().GetDataPoints() {
		add("", p.Attributes, number(p), false)
	}
	for _, p := range m.GetSum().GetDataPoints() {
		add("", p.Attributes, number(p), m.GetSum().AggregationTemporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA)
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		delta := m.GetHistogram().AggregationTemporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
		add("_sum", p.Attributes, p.GetSum(), delta)
		add("_count", p.Attributes, float64(p.Count), delta)
	}
	return out
}

func number(p *metrics.NumberDataPoint) float64 {
	if n, ok := p.Value.(*metrics.NumberDataPoint_AsInt); ok {
		return float64(n.AsInt)
	}
	return p.GetAsDouble()
}

// attributesOf writes attributes as "name=value, ...", in order of names.
func attributesOf(all []*common.KeyValue) string {
	var out []string
	for _, a := range all {
		text := a.GetValue().GetStringValue()
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_IntValue:
			text = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_BoolValue:
			text = strconv.FormatBool(v.BoolValue)
		case *common.AnyValue_DoubleValue:
			text = strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		}
		out = append(out, a.GetKey()+"="+text)
	}
	slices.Sort(out)
	return label(strings.Join(out, ", "))
}

// label makes a client's text fit for a label.
func label(text string) string {
	if len(text) > maxLabel {
		text = text[:maxLabel]
	}
	return strings.ToValidUTF8(text, "?")
}
