package meter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
// for. A lag that isn't known is missing.
func TestLags(t *testing.T) {
	at := func(n byte, index int32) id.Partition { return id.Partition{Topic: id.Topic{n}, Index: index} }
	groups := []Group{
		{"g", 2, []Committed{{at(1, 0), "a", 5}, {at(1, 1), "a", 90}, {at(2, 0), "b", 1}}},
		{"h", 0, []Committed{{at(1, 0), "a", 200}}},                     // committed ahead of the end: no lag
		{"i", 1, []Committed{{at(2, 1), "b", 3}, {at(2, 7), "b", 100}}}, // one end is known
		{"j", 3, nil},
	}
	ends := map[id.Partition]int64{at(1, 0): 100, at(1, 1): 100, at(2, 7): 100}
	asked := 0
	l := NewLags(LagBounds{10, 10}, func(context.Context) ([]Group, error) { asked++; return groups, nil }, func(context.Context) map[id.Partition]int64 { return ends })
	want := map[string]float64{"varve_group_lag_records g a": 105, "varve_group_lag_records h a": 0, "varve_group_lag_dropped": 0, "varve_group_members_dropped": 0, "varve_group_partitions_dropped": 0,
		"kafka_consumergroup_members g": 2, "kafka_consumergroup_members h": 0, "kafka_consumergroup_members i": 1, "kafka_consumergroup_members j": 3,
		"kafka_consumergroup_lag_sum g a": 105, "kafka_consumergroup_lag_sum h a": 0,
		"kafka_consumergroup_current_offset_sum g a": 95, "kafka_consumergroup_current_offset_sum g b": 1, "kafka_consumergroup_current_offset_sum h a": 200, "kafka_consumergroup_current_offset_sum i b": 103,
		"kafka_consumergroup_lag g 0 a": 95, "kafka_consumergroup_lag g 1 a": 10, "kafka_consumergroup_lag h 0 a": 0, "kafka_consumergroup_lag i 7 b": 0,
		"kafka_consumergroup_current_offset g 0 a": 5, "kafka_consumergroup_current_offset g 1 a": 90, "kafka_consumergroup_current_offset g 0 b": 1, "kafka_consumergroup_current_offset h 0 a": 200,
		"kafka_consumergroup_current_offset i 1 b": 3, "kafka_consumergroup_current_offset i 7 b": 100}
	expect(t, values(t, l), want)
	values(t, l)
	if asked != 1 {
		t.Errorf("%d agents were asked for two scrapes at once", asked)
	}
	off := NewLags(LagBounds{0, 10}, func(context.Context) ([]Group, error) { t.Error("asked"); return nil, nil }, nil)
	expect(t, values(t, off), map[string]float64{})
}

// TestLagsAreBounded: there are no more series than are allowed, of the same groups whatever
// order they are found in, and the others are counted.
func TestLagsAreBounded(t *testing.T) {
	at := func(index int32) id.Partition { return id.Partition{Topic: id.Topic{1}, Index: index} }
	of := func(names ...string) (all []Group) {
		for _, name := range names {
			all = append(all, Group{name, 1, []Committed{{at(0), "a", 0}, {at(1), "a", 0}}})
		}
		return all
	}
	ends := map[id.Partition]int64{at(0): 1, at(1): 1}
	var groups []Group
	for _, order := range [][]string{{"e", "d", "c", "b", "a"}, {"c", "a", "e", "b", "d"}} {
		groups = of(order...)
		l := NewLags(LagBounds{2, 3}, func(context.Context) ([]Group, error) { return groups, nil }, func(context.Context) map[id.Partition]int64 { return ends })
		expect(t, values(t, l), map[string]float64{"varve_group_lag_records a a": 2, "varve_group_lag_records b a": 2, "varve_group_lag_dropped": 3, "varve_group_members_dropped": 3, "varve_group_partitions_dropped": 7,
			"kafka_consumergroup_members a": 1, "kafka_consumergroup_members b": 1, "kafka_consumergroup_lag_sum a a": 2, "kafka_consumergroup_lag_sum b a": 2,
			"kafka_consumergroup_current_offset_sum a a": 0, "kafka_consumergroup_current_offset_sum b a": 0,
			"kafka_consumergroup_lag a 0 a": 1, "kafka_consumergroup_lag a 1 a": 1, "kafka_consumergroup_lag b 0 a": 1,
			"kafka_consumergroup_current_offset a 0 a": 0, "kafka_consumergroup_current_offset a 1 a": 0, "kafka_consumergroup_current_offset b 0 a": 0})
	}
}

// TestLagsOfAnyName: clients choose the names of groups. One that can't be a label, or is very long, is
// counted, and takes nothing from the others.
func TestLagsOfAnyName(t *testing.T) {
	groups := func(context.Context) (all []Group, _ error) {
		for _, name := range []string{"a\xfe", "a\xff", "b", strings.Repeat("c", mostName+1)} {
			all = append(all, Group{name, 1, []Committed{{id.Partition{Topic: id.Topic{1}}, "t", 7}}})
		}
		return all, nil
	}
	l := NewLags(LagBounds{Topics: 10, Partitions: 10}, groups, func(context.Context) map[id.Partition]int64 { return map[id.Partition]int64{{Topic: id.Topic{1}}: 10} })
	expect(t, values(t, l), map[string]float64{"varve_group_lag_records b t": 3, "kafka_consumergroup_members b": 1, "kafka_consumergroup_lag_sum b t": 3, "kafka_consumergroup_current_offset_sum b t": 7,
		"kafka_consumergroup_lag b 0 t": 3, "kafka_consumergroup_current_offset b 0 t": 7, "varve_group_lag_dropped": 3, "varve_group_members_dropped": 3, "varve_group_partitions_dropped": 3})
}

// TestPartitions: the leader tells of a partition, and one agent of a topic; those beyond the
// bound are counted.
func TestPartitions(t *testing.T) {
	all := []Partition{{"b", 0, 0, 9, 3, 3, 1}, {"a", 1, 5, 7, 3, 2, 2}, {"a", 0, 0, 1, 1, 1, 2}}
	p := NewPartitions(2, 4, func() []Partition { return slices.Clone(all) })
	expect(t, values(t, p), map[string]float64{"kafka_topic_partitions a": 2, "varve_partitions_without_series": 1,
		"kafka_topic_partition_current_offset 0 a": 1, "kafka_topic_partition_oldest_offset 0 a": 0, "kafka_topic_partition_leader 0 a": 4, "kafka_topic_partition_replicas 0 a": 1, "kafka_topic_partition_in_sync_replica 0 a": 1, "kafka_topic_partition_under_replicated_partition 0 a": 0,
		"kafka_topic_partition_current_offset 1 a": 7, "kafka_topic_partition_oldest_offset 1 a": 5, "kafka_topic_partition_leader 1 a": 4, "kafka_topic_partition_replicas 1 a": 3, "kafka_topic_partition_in_sync_replica 1 a": 2, "kafka_topic_partition_under_replicated_partition 1 a": 1})
	expect(t, values(t, NewPartitions(0, 4, func() []Partition { t.Error("asked"); return nil })), map[string]float64{})
}

// BenchmarkLags is a scrape of 10,000 groups that each consume 10 partitions, with the bounds of
// the defaults and with series for all of them.
func BenchmarkLags(b *testing.B) {
	var groups []Group
	ends := map[id.Partition]int64{}
	for g := range 10_000 {
		one := Group{Name: fmt.Sprintf("group-%d", g), Members: 1}
		for i := range int32(10) {
			at := id.Partition{Topic: id.Topic{byte(g % 100)}, Index: i}
			ends[at] = 1000
			one.Committed = append(one.Committed, Committed{at, fmt.Sprint("topic-", g%100), 10})
		}
		groups = append(groups, one)
	}
	for name, most := range map[string]LagBounds{"default": {1000, 5000}, "all": {10_000, 100_000}} {
		b.Run(name, func(b *testing.B) {
			l := NewLags(most, func(context.Context) ([]Group, error) { return groups, nil }, func(context.Context) map[id.Partition]int64 { return ends })
			r := prometheus.NewRegistry()
			r.MustRegister(l)
			b.ReportAllocs()
			for b.Loop() {
				l.at = time.Time{}
				if _, err := r.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
