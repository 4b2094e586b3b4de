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
	clients     map[clientName]clientTotals
}

type clientName struct{ user, id string }

type clientTotals struct{ requests, in, out float64 }

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
	s = agentSample{topics: map[string]traffic{}, partitions: map[partitionName]partitionSample{}, groups: map[groupName]groupSample{}, clients: map[clientName]clientTotals{}}
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
	for name, field := range map[string]func(*clientTotals) *float64{
		"varve_client_requests_total":  func(t *clientTotals) *float64 { return &t.requests },
		"varve_client_bytes_in_total":  func(t *clientTotals) *float64 { return &t.in },
		"varve_client_bytes_out_total": func(t *clientTotals) *float64 { return &t.out },
	} {
		each(name, func(l map[string]string, v float64) {
			t := s.clients[clientName{l["user"], l["client_id"]}]
			*field(&t) = v
			s.clients[clientName{l["user"], l["client_id"]}] = t
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

// until returns the rates between two samples, in order of names. What an agent counts has none if the
// agent is new, or didn't answer before.
func (s *sample) until(now *sample) *top {
	t := &top{Seconds: now.at.Sub(s.at).Seconds(), Problems: append([]string{}, now.problems...)}
	topics, clients := map[string]traffic{}, map[clientName]clientTotals{}
	for _, broker := range slices.Sorted(maps.Keys(now.agents)) {
		b := now.agents[broker]
		agent := topAgent{Broker: broker, Connections: b.connections}
		if a, known := s.agents[broker]; known {
			for name, total := range b.topics { // a series that is new began at 0
				d := total.since(a.topics[name], t.Seconds)
				agent.traffic = agent.plus(d)
				topics[name] = topics[name].plus(d)
			}
			for name, total := range b.clients {
				clients[name] = clients[name].plus(total.since(a.clients[name], t.Seconds))
			}
		}
		t.Agents = append(t.Agents, agent)
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		t.Topics = append(t.Topics, topTopic{name, topics[name]})
	}
	for _, name := range slices.SortedFunc(maps.Keys(clients), func(a, b clientName) int { return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id)) }) {
		c := clients[name]
		t.Clients = append(t.Clients, topClient{name.user, name.id, c.requests, c.in, c.out})
	}
	t.Partitions = s.partitionsUntil(now, t.Seconds)
	t.Groups = s.groupsUntil(now, t)
	return t
}

// partitionsUntil returns the rates of partitions, whichever agents led them.
func (s *sample) partitionsUntil(now *sample, seconds float64) (all []topPartition) {
	for _, b := range now.agents {
		for name, p := range b.partitions {
			one := topPartition{Topic: name.topic, Partition: name.index, Leader: p.leader}
			if end, there := s.end(name); there {
				one.RecordsIn = perSecond(end, p.end, seconds)
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b topPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

// groupsUntil returns the rates of groups, whichever agents coordinated them, and when they will have caught
// up with what is written to their topics.
func (s *sample) groupsUntil(now *sample, t *top) (all []topGroup) {
	written := map[string]float64{}
	for _, p := range t.Partitions {
		written[p.Topic] += p.RecordsIn
	}
	for _, b := range now.agents {
		for name, g := range b.groups {
			one := topGroup{Group: name.group, Topic: name.topic, Lag: g.lag}
			if committed, there := s.committed(name); there {
				one.Commits = perSecond(committed, g.committed, t.Seconds)
			}
			if gains := one.Commits - written[name.topic]; g.lag > 0 && gains > 0 {
				one.Catchup = float64(g.lag) / gains
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b topGroup) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic)) })
	return all
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

func (t clientTotals) since(before clientTotals, seconds float64) clientTotals {
	return clientTotals{perSecond(before.requests, t.requests, seconds), perSecond(before.in, t.in, seconds), perSecond(before.out, t.out, seconds)}
}

func (t clientTotals) plus(o clientTotals) clientTotals {
	return clientTotals{t.requests + o.requests, t.in + o.in, t.out + o.out}
}
