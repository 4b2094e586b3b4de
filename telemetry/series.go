package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

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
	client Client // its texts are labels
	until  time.Time
	values map[seriesKey]value
}

type value struct {
	is    float64
	delta bool // it is a sum of differences
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
			ch <- prometheus.MustNewConstMetric(clientMetric, prometheus.UntypedValue, v.is, k.metric, k.attributes, id.String(), c.ID, c.SoftwareName, c.SoftwareVersion)
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

// take reads a push, and keeps the values of metrics with one of the prefixes. What the client pushed
// before and no longer has goes, but for what it sends as differences. The last push of a client ends
// its series.
func (s *Series) take(p *Push, c *Client, asked []string, interval time.Duration, now time.Time) error {
	points, lost, err := s.read(p, asked)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.dropped.Add(float64(lost)) }()
	was := s.mu.clients[p.Instance]
	s.drop(p.Instance)
	if p.Terminating {
		return nil
	}
	if s.mu.count+len(points) > s.most {
		s.forget(now)
	}
	next := &pushed{Client{ID: label(c.ID), SoftwareName: label(c.SoftwareName), SoftwareVersion: label(c.SoftwareVersion)}, now.Add(keptFor * interval), map[seriesKey]value{}}
	if was != nil {
		for k, v := range was.values {
			if v.delta {
				next.values[k] = v
			}
		}
	}
	for _, x := range points {
		before, known := next.values[x.key]
		if !known && s.mu.count+len(next.values) >= s.most {
			lost++
			continue
		}
		if x.delta {
			x.value += before.is
		}
		next.values[x.key] = value{x.value, x.delta}
	}
	if len(next.values) > 0 {
		s.mu.clients[p.Instance] = next
		s.mu.count += len(next.values)
	}
	return nil
}

// point is one value of a push.
type point struct {
	key   seriesKey
	value float64
	delta bool // it is added to the one before
}

// read decompresses a push and reads it. It returns at most as many points as there may be series, and
// the number of the others. What nobody asked for costs nothing.
func (s *Series) read(p *Push, asked []string) (out []point, lost int, err error) {
	if len(p.Metrics) == 0 || len(asked) == 0 {
		return nil, 0, nil
	}
	s.decode.Lock()
	defer s.decode.Unlock()
	body, err := kafka.Decompress(kafka.Codec(p.Compression), p.Metrics, maxUnpacked)
	if err == nil {
		err = points(body, func(name string) bool { return wanted(name, asked) }, func(x point) {
			if len(out) < s.most {
				out = append(out, x)
			} else {
				lost++
			}
		})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrMetrics, err)
	}
	return out, lost, nil
}

// wanted reports whether a client was asked for a metric.
func wanted(name string, asked []string) bool {
	return slices.ContainsFunc(asked, func(prefix string) bool { return prefix == everything || strings.HasPrefix(name, prefix) })
}
