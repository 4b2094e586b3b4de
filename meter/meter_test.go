package meter

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
)

// values gathers what a collector tells, by name and labels.
func values(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func expect(t *testing.T, got, want map[string]float64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestTopics: topics beyond the bound are one, a topic that goes makes room, and one that
// takes its name goes on under it.
func TestTopics(t *testing.T) {
	names := map[id.Topic]string{{1}: "a", {2}: "b", {3}: "c"}
	sizes := map[id.Topic]Size{{1}: {10, 20}, {3}: {1, 2}}
	m := NewTopics(2, func(t id.Topic) string { return names[t] }, func() map[id.Topic]Size { return sizes })
	if first, again := m.Of(id.Topic{1}), m.Of(id.Topic{1}); first != again {
		t.Error("a topic has two sets of counters")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				m.Of(id.Topic{1}).In(3, 1)
			}
		})
	}
	all.Wait()
	m.Of(id.Topic{2}).Out(5, 2)
	m.Of(id.Topic{3}).In(7, 1)
	topic := func(name string, v ...float64) map[string]float64 {
		out := map[string]float64{}
		for i, what := range []string{"bytes_in", "records_in", "bytes_out", "records_out"} {
			out["varve_topic_"+what+"_total "+name] = v[i]
		}
		return out
	}
	want := topic("a", 12000, 4000, 0, 0)
	maps.Copy(want, topic("b", 0, 0, 5, 2))
	maps.Copy(want, topic(Others, 7, 1, 0, 0))
	maps.Copy(want, map[string]float64{"varve_topic_log_bytes a local": 10, "varve_topic_log_bytes a tier": 20, "varve_topic_log_bytes (other) local": 1, "varve_topic_log_bytes (other) tier": 2})
	expect(t, values(t, m), want)

	delete(names, id.Topic{2})
	names[id.Topic{4}] = "a" // as after a deletion of a, before that is known everywhere
	m.Of(id.Topic{4}).In(1, 1)
	want = topic("a", 12001, 4001, 0, 0)
	maps.Copy(want, topic(Others, 7, 1, 0, 0))
	maps.Copy(want, map[string]float64{"varve_topic_log_bytes a local": 10, "varve_topic_log_bytes a tier": 20, "varve_topic_log_bytes (other) local": 1, "varve_topic_log_bytes (other) tier": 2})
	expect(t, values(t, m), want)
	none := NewTopics(0, func(id.Topic) string { return "x" }, func() map[id.Topic]Size { return nil })
	none.Of(id.Topic{1}).In(1, 1)
	expect(t, values(t, none), topic(Others, 1, 1, 0, 0))
}

// TestLags: lags are sums over partitions whose ends are known, computed when they are asked
// for, and no more than are allowed.
func TestLags(t *testing.T) {
	at := func(n byte, index int32) id.Partition { return id.Partition{Topic: id.Topic{n}, Index: index} }
	groups := []Group{
		{"g", []Committed{{at(1, 0), "a", 5}, {at(1, 1), "a", 90}, {at(2, 0), "b", 1}}},
		{"h", []Committed{{at(1, 0), "a", 200}}}, // committed ahead of the end: no lag
	}
	ends := map[id.Partition]int64{at(1, 0): 100, at(1, 1): 100}
	asked := 0
	l := NewLags(10, func(context.Context) ([]Group, error) { asked++; return groups, nil }, func(context.Context) map[id.Partition]int64 { return ends })
	expect(t, values(t, l), map[string]float64{"varve_group_lag_records g a": 105, "varve_group_lag_records h a": 0, "varve_group_lag_dropped": 0})
	values(t, l)
	if asked != 1 {
		t.Errorf("%d agents were asked for two scrapes at once", asked)
	}
	many := []Group{}
	for i := range 5 {
		many = append(many, Group{fmt.Sprint(i), []Committed{{at(1, 0), "a", 0}}})
	}
	if out, dropped := lags(many, ends, 3); len(out) != 3 || dropped != 2 {
		t.Errorf("%d lags, %d dropped", len(out), dropped)
	}
	off := NewLags(0, func(context.Context) ([]Group, error) { t.Error("asked"); return nil, nil }, nil)
	expect(t, values(t, off), map[string]float64{})
}
