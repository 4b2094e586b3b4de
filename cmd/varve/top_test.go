package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Rates are differences of what agents report, whichever of them does so; what went back has none.
func TestTopRates(t *testing.T) {
	metrics := func(in, out, end, committed, lag int, leader int) []byte {
		return fmt.Appendf(nil, `# TYPE varve_topic_bytes_in_total counter
varve_topic_bytes_in_total{topic="t"} %d
# TYPE varve_topic_records_out_total counter
varve_topic_records_out_total{topic="t"} %d
# TYPE kafka_topic_partition_current_offset gauge
kafka_topic_partition_current_offset{topic="t",partition="0"} %d
# TYPE kafka_topic_partition_leader gauge
kafka_topic_partition_leader{topic="t",partition="0"} %d
# TYPE kafka_consumergroup_current_offset_sum gauge
kafka_consumergroup_current_offset_sum{consumergroup="g",topic="t"} %d
# TYPE kafka_consumergroup_lag_sum gauge
kafka_consumergroup_lag_sum{consumergroup="g",topic="t"} %d
# TYPE varve_kafka_connections gauge
varve_kafka_connections 3
`, in, out, end, leader, committed, lag)
	}
	read := func(text []byte) agentSample {
		t.Helper()
		s, err := readSample(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	began := time.Now()
	before := &sample{at: began, agents: map[int32]agentSample{1: read(metrics(1000, 50, 100, 40, 60, 1)), 2: read([]byte("varve_kafka_connections 1\n"))}}
	// The partition and the group moved to agent 2; agent 1 was started again; agent 3 is new.
	after := &sample{at: began.Add(10 * time.Second), problems: []string{"agent 4: away"}, agents: map[int32]agentSample{
		1: read([]byte("# TYPE varve_topic_bytes_in_total counter\nvarve_topic_bytes_in_total{topic=\"t\"} 10\n")),
		2: read(metrics(500, 20, 150, 140, 100, 2)), 3: read([]byte("# TYPE varve_topic_bytes_in_total counter\nvarve_topic_bytes_in_total{topic=\"t\"} 99999\n"))}}
	got := before.until(after)
	if len(got.Topics) != 1 || got.Topics[0].BytesIn != 50 || got.Topics[0].RecordsOut != 2 {
		t.Errorf("topics: %+v", got.Topics)
	}
	if want := []topPartition{{"t", 0, 2, 5}}; !slices.Equal(got.Partitions, want) {
		t.Errorf("partitions: %+v", got.Partitions)
	}
	if want := []topGroup{{"g", "t", 10, 100, 20}}; !slices.Equal(got.Groups, want) { // it gains 5 a second
		t.Errorf("groups: %+v", got.Groups)
	}
	if len(got.Agents) != 3 || got.Agents[0].BytesIn != 0 || got.Agents[1].BytesIn != 50 || got.Agents[1].Connections != 3 || got.Agents[2].BytesIn != 0 {
		t.Errorf("agents: %+v", got.Agents)
	}
	got.cut("agent", 1)
	if len(got.Agents) != 1 || got.Agents[0].Broker != 2 || len(got.Topics)+len(got.Partitions)+len(got.Groups) != 0 {
		t.Errorf("cut: %+v", got)
	}
	if _, err := readSample([]byte("varve{ 1\n")); err == nil {
		t.Error("what isn't metrics was read")
	}
}

// Against an agent that works, the rates are those of what is written and read.
func TestTop(t *testing.T) {
	a := startAgent(t)
	must(t, "", "topic create busy -p 2")
	must(t, "", "topic create idle -p 1")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				command(t, strings.Repeat("record\n", 100), "produce busy")
			}
		}
	}()
	r := command(t, "", "top --interval 2s --json --http "+a.http)
	close(stop)
	<-done
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	var got top
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Seconds < 1.9 || len(got.Agents) != 1 || got.Agents[0].RecordsIn <= 0 || len(got.Topics) == 0 || got.Topics[0].Topic != "busy" || got.Topics[0].RecordsIn != got.Agents[0].RecordsIn || len(got.Partitions) != 3 || got.Partitions[0].Topic != "busy" || got.Partitions[0].Leader != 1 {
		t.Errorf("%+v", got)
	}
	if len(got.Clients) == 0 || got.Clients[0].Requests <= 0 || got.Clients[0].User != "ANONYMOUS" || got.Clients[0].BytesIn <= 0 || got.Clients[0].BytesOut <= 0 {
		t.Errorf("%+v", got.Clients)
	}
	r = command(t, "", "top --once --interval 1s --http "+a.http)
	if r.code != 0 || !strings.Contains(r.out, "AGENT") || !strings.Contains(r.out, "busy/1") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	for _, bad := range []string{"--interval 10ms", "--limit 0", "--by colour"} {
		wants(t, command(t, "", "top "+bad+" --http "+a.http), exitUsage)
	}
}
