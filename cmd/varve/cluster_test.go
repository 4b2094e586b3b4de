package main

import (
	"net"
	"testing"
)

func TestClusterStatus(t *testing.T) {
	a := startAgent(t)
	must(t, "", "topic create orders -p 3")
	s := decode[clusterState](t, must(t, "", "cluster status --json --http "+a.http))
	if s.Cluster == "" || len(s.Brokers) != 1 || s.Brokers[0].Address != a.kafka || s.Brokers[0].Leads != 3 || s.Partitions != 3 || s.Agent == nil || s.Agent.Cluster != s.Cluster {
		t.Errorf("status %+v", s)
	}
	wants(t, command(t, "", "cluster status --http "+a.http), exitOK, "3 partitions  0 without leader", a.kafka, "v0.0.0-test")
	wants(t, command(t, "", "cluster status --http="), exitOK, a.kafka)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	wants(t, command(t, "", "cluster status --http "+free), exitUnavailable, a.kafka, "no agent answers at "+free)
	wants(t, command(t, "", "cluster status --http "+a.http+"/nothing"), exitUnavailable, "is not an agent's")
}
