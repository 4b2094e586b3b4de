package telemetry

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"varve/kafka"
)

var java = &Client{ID: "orders", SoftwareName: "apache-kafka-java", SoftwareVersion: "4.3.0", Host: "10.0.0.7", Port: "5000"}

// TestParse: settings are checked as by Kafka.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		err      string
	}{
		{map[string]string{}, ""},
		{map[string]string{"metrics": "org.apache.kafka.producer., ", "interval.ms": "100", "match": "client_id=or.*,client_source_port=5\\d+"}, ""},
		{map[string]string{"interval.ms": "99"}, "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)"},
		{map[string]string{"interval.ms": "x"}, "Invalid value x"},
		{map[string]string{"match": "client_id"}, "Illegal client matching pattern: client_id"},
		{map[string]string{"match": "client_id=("}, "Illegal client matching pattern"},
		{map[string]string{"match": "colour=red"}, "Illegal client matching pattern"},
		{map[string]string{"x": ""}, "Unknown client metrics configuration: x"},
	} {
		if _, err := Parse(c.settings); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v", c.settings, err)
		}
	}
}

func parsed(t *testing.T, settings ...map[string]string) (all []*Subscription) {
	t.Helper()
	for _, s := range settings {
		one, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestManager follows one client through what Kafka's broker answers.
func TestManager(t *testing.T) {
	all := parsed(t, map[string]string{"metrics": "a,b", "interval.ms": "60000", "match": "client_id=ord.*"}, map[string]string{"metrics": "b,c", "interval.ms": "30000"},
		map[string]string{"metrics": "d", "interval.ms": "100", "match": "client_id=ord"})
	id := uuid.UUID{1: 7}
	m := NewManager(func() []*Subscription { return all }, func() uuid.UUID { return id }, NewSeries(10))
	now := time.Unix(1e6, 0)
	a, err := m.Get(uuid.Nil, java, now)
	if err != nil || a.Instance != id || a.Interval != 30*time.Second || strings.Join(a.Metrics, " ") != "a b c" {
		t.Fatalf("%+v, %v", a, err)
	}
	other := NewManager(func() []*Subscription { return all }, nil, NewSeries(10))
	if b, err := other.Get(id, java, now); err != nil || b.Subscription != a.Subscription {
		t.Errorf("another agent has subscription %v, not %v: %v", b.Subscription, a.Subscription, err)
	}
	push := func(what string, want error, change func(*Push)) {
		t.Helper()
		p := &Push{Instance: id, Subscription: a.Subscription}
		change(p)
		if err := m.Push(p, java, now); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", what, err, want)
		}
	}
	asIs := func(*Push) {}
	if _, err := m.Get(id, java, now.Add(time.Second)); !errors.Is(err, ErrTooEarly) {
		t.Errorf("a second question: %v", err)
	}
	now = now.Add(5 * time.Second)
	push("the first one comes at any time", nil, asIs)
	now = now.Add(29 * time.Second)
	push("too early", ErrTooEarly, asIs)
	now = now.Add(30 * time.Second)
	push("in time", nil, asIs)
	now = now.Add(30 * time.Second)
	push("another subscription", ErrUnknownSubscription, func(p *Push) { p.Subscription++ })
	now = now.Add(time.Second)
	if _, err := m.Get(id, java, now); err != nil {
		t.Errorf("who has a wrong subscription may ask at once: %v", err)
	}
	now = now.Add(time.Second)
	push("a codec that isn't one", ErrCompression, func(p *Push) { p.Compression = 5 })
	now = now.Add(30 * time.Second)
	push("too large", ErrTooLarge, func(p *Push) { p.Metrics = make([]byte, MaxBytes+1) })
	now = now.Add(30 * time.Second)
	push("not metrics", ErrMetrics, func(p *Push) { p.Metrics = []byte{255, 1, 2} })
	now = now.Add(30 * time.Second)
	push("not compressed", ErrMetrics, func(p *Push) { p.Metrics, p.Compression = []byte{1, 2, 3}, 4 })
	push("the last one may be early", nil, func(p *Push) { p.Terminating = true })
	now = now.Add(time.Hour)
	push("after the last one", ErrInvalid, asIs)
	push("no instance", ErrInvalid, func(p *Push) { p.Instance = uuid.Nil })

	all = parsed(t, map[string]string{"metrics": "a,*"})
	if b, err := m.Get(id, java, now); err != nil || b.Subscription == a.Subscription || len(b.Metrics) != 1 || b.Metrics[0] != "*" || b.Interval != DefaultInterval {
		t.Errorf("after a change: %+v, %v", b, err)
	}
}

// TestInstancesAreBounded: many clients don't fill the memory.
func TestInstancesAreBounded(t *testing.T) {
	m := NewManager(func() []*Subscription { return nil }, nil, NewSeries(0))
	r := rand.New(rand.NewPCG(1, 2))
	for range mostInstances + 100 {
		id := uuid.UUID{0: 1}
		for i := range 8 {
			id[i+1] = byte(r.Uint32())
		}
		if _, err := m.Get(id, java, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.mu.by) != mostInstances || m.mu.order.Len() != mostInstances {
		t.Errorf("%d instances", len(m.mu.by))
	}
}

func data(all ...*metrics.Metric) []byte {
	b, err := proto.Marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: all}}}}})
	if err != nil {
		panic(err)
	}
	return b
}

func gauge(name string, v float64, attributes ...*common.KeyValue) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{{Attributes: attributes, Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}}}}}}
}

func sum(name string, v int64, how metrics.AggregationTemporality) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{AggregationTemporality: how, DataPoints: []*metrics.NumberDataPoint{{Value: &metrics.NumberDataPoint_AsInt{AsInt: v}}}}}}
}

// values are the series now, by metric, attributes and client id.
func values(t *testing.T, s *Series, now time.Time) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(at{s, now})
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			out[strings.TrimSpace(labels["client_id"]+" "+labels["metric"]+" "+labels["attributes"])] += m.GetUntyped().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

type at struct {
	*Series
	now time.Time
}

func (a at) Collect(ch chan<- prometheus.Metric) { a.collect(ch, a.now) }

// TestSeries: what clients push is in series, sums add up whichever way they are sent, silent
// clients and those that end have none, and there are no more than are allowed.
func TestSeries(t *testing.T) {
	s, now := NewSeries(4), time.Unix(1e6, 0)
	push := func(instance byte, terminating bool, b []byte) {
		t.Helper()
		if err := s.take(&Push{Instance: uuid.UUID{instance}, Metrics: b, Terminating: terminating}, &Client{ID: string('a' + rune(instance))}, []string{everything}, time.Minute, now); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, want map[string]float64) {
		t.Helper()
		got := values(t, s, now)
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s is %v, not %v", what, k, got[k], v)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v", what, got)
		}
	}
	const delta, cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	topic := &common.KeyValue{Key: "topic", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "t\xff"}}}
	for range 2 {
		push(0, false, data(gauge("g", 1.5), sum("d", 3, delta), sum("c", 3, cumulative)))
	}
	want("two pushes", map[string]float64{"a g": 1.5, "a d": 6, "a c": 3, "": 0})
	topic.Value.Value = &common.AnyValue_StringValue{StringValue: "t"}
	push(1, false, data(gauge("g", 2, topic), gauge("h", 2), gauge("i", 2)))
	want("too many", map[string]float64{"a g": 1.5, "a d": 6, "a c": 3, "b g topic=t": 2, "": 2})
	push(0, false, data(gauge("n", 1)))
	want("a client that has other metrics now", map[string]float64{"a d": 6, "a n": 1, "b g topic=t": 2, "": 2})
	push(0, true, nil)
	want("one ended", map[string]float64{"b g topic=t": 2, "": 2})
	now = now.Add(keptFor*time.Minute + time.Second)
	want("the other is silent", map[string]float64{"": 2})
	if s.mu.count != 0 {
		t.Errorf("%d series are counted", s.mu.count)
	}
	if got := label(strings.Repeat("x", maxLabel-1) + "ü"); got != strings.Repeat("x", maxLabel-1)+"?" {
		t.Errorf("a label that is cut: %q", got)
	}
}

// TestWanted: only what a client was asked for is kept, by default nothing.
func TestWanted(t *testing.T) {
	for _, c := range []struct {
		asked []string
		names string
	}{{nil, ""}, {[]string{""}, ""}, {[]string{"a."}, "a.b a.c"}, {[]string{"a.c", "b"}, "a.c b"}, {[]string{everything}, "a.b a.c b c"}} {
		all := []map[string]string{{SettingMetrics: strings.Join(c.asked, ",")}}
		if c.asked == nil {
			all = nil
		}
		s := NewSeries(10)
		m := NewManager(func() []*Subscription { return parsed(t, all...) }, uuid.New, s)
		now := time.Unix(1e6, 0)
		a, err := m.Get(uuid.Nil, java, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Push(&Push{Instance: a.Instance, Subscription: a.Subscription, Metrics: data(gauge("a.b", 1), gauge("a.c", 1), gauge("b", 1), gauge("c", 1))}, java, now); err != nil {
			t.Error(err)
		}
		var got []string
		for name := range values(t, s, now) {
			if name != "" {
				got = append(got, strings.TrimPrefix(name, java.ID+" "))
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.names {
			t.Errorf("asked for %q: %q", c.asked, got)
		}
	}
}

// TestTooEarlyDoesNotCount: a client whose clock is a little fast is refused now and then, not always.
func TestTooEarlyDoesNotCount(t *testing.T) {
	m := NewManager(func() []*Subscription { return parsed(t, map[string]string{"interval.ms": "1000"}) }, uuid.New, NewSeries(1))
	now := time.Unix(1e6, 0)
	a, err := m.Get(uuid.Nil, java, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	for range 4 {
		now = now.Add(999 * time.Millisecond)
		got = append(got, m.Push(&Push{Instance: a.Instance, Subscription: a.Subscription}, java, now))
	}
	if got[0] != nil || !errors.Is(got[1], ErrTooEarly) || got[2] != nil || !errors.Is(got[3], ErrTooEarly) {
		t.Errorf("%q", got)
	}
}

// TestPushIsBounded: a push may be small, and stand for millions of points, for texts of megabytes, or
// for a client that was never seen before. None of it takes memory without bound.
func TestPushIsBounded(t *testing.T) {
	long := data(gauge(strings.Repeat("x", maxUnpacked/2), 1))
	empty := func(field protowire.Number) []byte { // as many empty messages as there may be
		return bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), nil), maxUnpacked/2-50)
	}
	for name, body := range map[string][]byte{
		"points":     within(empty(1), 5, 2, 2, 1),
		"histograms": within(empty(1), 9, 2, 2, 1),
		"attributes": within(empty(7), 1, 5, 2, 2, 1),
		"metrics":    within(empty(2), 2, 1),
		"a name":     long,
	} {
		packed, err := kafka.Compress(kafka.Zstd, nil, body)
		if err != nil {
			t.Fatal(err)
		}
		s := NewSeries(100)
		before := allocated()
		if err := s.take(&Push{Instance: uuid.UUID{1}, Compression: int8(kafka.Zstd), Metrics: packed}, java, []string{everything}, time.Minute, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if n := allocated() - before; n > 5*maxUnpacked {
			t.Errorf("%s: a push of %d bytes takes %d", name, len(packed), n)
		}
	}

	s := NewSeries(10)
	before := live()
	for i := range 100 {
		client := &Client{ID: strings.Repeat("y", 1<<20)}
		if err := s.take(&Push{Instance: uuid.UUID{0: 1, 1: byte(i)}, Metrics: long}, client, []string{everything}, time.Minute, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if kept := live() - before; len(s.mu.clients) != 10 || kept > 1<<20 {
		t.Errorf("%d clients are remembered, in %d bytes", len(s.mu.clients), kept)
	}
	runtime.KeepAlive(s)
}

// within returns a message in fields of messages, the innermost first.
func within(b []byte, fields ...protowire.Number) []byte {
	for _, f := range fields {
		b = protowire.AppendBytes(protowire.AppendTag(nil, f, protowire.BytesType), b)
	}
	return b
}

func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestUnaskedPushIsNotRead: without a subscription a push costs nothing.
func TestUnaskedPushIsNotRead(t *testing.T) {
	s := NewSeries(1)
	if err := s.take(&Push{Instance: uuid.UUID{1}, Metrics: []byte{255}}, java, nil, time.Minute, time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzSeries: nothing that a client pushes breaks it or exceeds its bound.
func FuzzSeries(f *testing.F) {
	f.Add(int8(0), data(gauge("g", 1)))
	f.Add(int8(0), data(&metrics.Metric{Name: "n", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{{}}}}}, &metrics.Metric{}))
	f.Add(int8(1), []byte{31, 139})
	f.Add(int8(4), []byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, compression int8, b []byte) {
		s := NewSeries(3)
		_ = s.take(&Push{Instance: uuid.UUID{1}, Compression: compression & 7, Metrics: b}, java, []string{everything}, time.Minute, time.Unix(1, 0))
		values(t, s, time.Unix(1, 0))
		if s.mu.count > 3 {
			t.Errorf("%d series", s.mu.count)
		}
	})
}
