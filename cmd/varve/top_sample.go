package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// errNoHTTP: an agent can't be asked.
var errNoHTTP = errors.New("it has no HTTP address")

// agentSample is what one agent reported.
type agentSample struct {
	connections int
	topics      map[string]traffic // totals
	partitions  map[partitionName]partitionSample
	groups      map[groupName]groupSample
}

type partitionName struct {
	topic string
	index int32
}

type partitionSample struct {
	end    float64
	leader int32
}

type groupName struct{ group, topic string }

type groupSample struct {
	committed float64
	lag       int64 // -1: not known
}

// readSample reads the metrics of an agent, in Prometheus' text format.
func readSample(text []byte) (s agentSample, err error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return s, fmt.Errorf("read its metrics: %w", err)
	}
	s = agentSample{topics: map[string]traffic{}, partitions: map[partitionName]partitionSample{}, groups: map[groupName]groupSample{}}
	each := func(name string, f func(labels map[string]string, value float64)) {
		for _, m := range families[name].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			f(labels, metricValue(m))
		}
	}
	each("varve_kafka_connections", func(_ map[string]string, v float64) { s.connections = int(v) })
	for name, field := range map[string]func(*traffic) *float64{
		"varve_topic_bytes_in_total":    func(t *traffic) *float64 { return &t.BytesIn },
		"varve_topic_records_in_total":  func(t *traffic) *float64 { return &t.RecordsIn },
		"varve_topic_bytes_out_total":   func(t *traffic) *float64 { return &t.BytesOut },
		"varve_topic_records_out_total": func(t *traffic) *float64 { return &t.RecordsOut },
	} {
		each(name, func(l map[string]string, v float64) {
			t := s.topics[l["topic"]]
			*field(&t) = v
			s.topics[l["topic"]] = t
		})
	}
	leaders := map[partitionName]int32{}
	each("kafka_topic_partition_leader", func(l map[string]string, v float64) { leaders[partitionOf(l)] = int32(v) })
	each("kafka_topic_partition_current_offset", func(l map[string]string, v float64) {
		leader, known := leaders[partitionOf(l)]
		if !known {
			leader = -1
		}
		s.partitions[partitionOf(l)] = partitionSample{v, leader}
	})
	each("kafka_consumergroup_current_offset_sum", func(l map[string]string, v float64) {
		s.groups[groupName{l["consumergroup"], l["topic"]}] = groupSample{v, -1}
	})
	each("kafka_consumergroup_lag_sum", func(l map[string]string, v float64) {
		name := groupName{l["consumergroup"], l["topic"]}
		if g, ok := s.groups[name]; ok {
			g.lag = int64(v)
			s.groups[name] = g
		}
	})
	return s, nil
}

func partitionOf(labels map[string]string) partitionName {
	n, err := strconv.ParseInt(labels["partition"], 10, 32)
	if err != nil {
		n = -1
	}
	return partitionName{labels["topic"], int32(n)}
}

func metricValue(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	}
	return m.GetUntyped().GetValue()
}

// until returns the rates between two samples. What an agent counts has none if the agent is new, or
// didn't answer before.
func (s *sample) until(now *sample) *top {
	t := &top{Seconds: now.at.Sub(s.at).Seconds(), Problems: append([]string{}, now.problems...)}
	topics := map[string]traffic{}
	partitions := map[partitionName]topPartition{}
	groups := map[groupName]topGroup{}
	for _, broker := range slices.Sorted(maps.Keys(now.agents)) {
		b := now.agents[broker]
		a, known := s.agents[broker]
		agent := topAgent{Broker: broker, Connections: b.connections}
		for name, total := range b.topics {
			if !known {
				break
			}
			d := total.since(a.topics[name], t.Seconds) // a series that is new began at 0
			agent.traffic = agent.plus(d)
			topics[name] = topics[name].plus(d)
		}
		t.Agents = append(t.Agents, agent)
		for name, p := range b.partitions {
			end, there := s.end(name)
			one := topPartition{Topic: name.topic, Partition: name.index, Leader: cmp.Or(p.leader, -1)}
			if there {
				one.RecordsIn = perSecond(end, p.end, t.Seconds)
			}
			partitions[name] = one
		}
		for name, g := range b.groups {
			one := topGroup{Group: name.group, Topic: name.topic, Lag: g.lag}
			if committed, there := s.committed(name); there {
				one.Commits = perSecond(committed, g.committed, t.Seconds)
			}
			groups[name] = one
		}
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		t.Topics = append(t.Topics, topTopic{name, topics[name]})
	}
	for _, name := range slices.SortedFunc(maps.Keys(partitions), func(a, b partitionName) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.index, b.index))
	}) {
		t.Partitions = append(t.Partitions, partitions[name])
	}
	written := map[string]float64{}
	for _, p := range t.Partitions {
		written[p.Topic] += p.RecordsIn
	}
	for _, name := range slices.SortedFunc(maps.Keys(groups), func(a, b groupName) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.topic, b.topic))
	}) {
		g := groups[name]
		if gains := g.Commits - written[g.Topic]; g.Lag > 0 && gains > 0 {
			g.Catchup = float64(g.Lag) / gains
		}
		t.Groups = append(t.Groups, g)
	}
	return t
}

// end returns where a partition ended, whichever agent led it.
func (s *sample) end(name partitionName) (float64, bool) {
	for _, a := range s.agents {
		if p, ok := a.partitions[name]; ok {
			return p.end, true
		}
	}
	return 0, false
}

// committed returns how far a group was, whichever agent coordinated it.
func (s *sample) committed(name groupName) (float64, bool) {
	for _, a := range s.agents {
		if g, ok := a.groups[name]; ok {
			return g.committed, true
		}
	}
	return 0, false
}

// perSecond is a rate; what went back, as a counter of an agent that was started again, has none.
func perSecond(before, now, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return max(0, now-before) / seconds
}

func (t traffic) since(before traffic, seconds float64) traffic {
	return traffic{perSecond(before.BytesIn, t.BytesIn, seconds), perSecond(before.RecordsIn, t.RecordsIn, seconds), perSecond(before.BytesOut, t.BytesOut, seconds), perSecond(before.RecordsOut, t.RecordsOut, seconds)}
}

func (t traffic) plus(o traffic) traffic {
	return traffic{t.BytesIn + o.BytesIn, t.RecordsIn + o.RecordsIn, t.BytesOut + o.BytesOut, t.RecordsOut + o.RecordsOut}
}
