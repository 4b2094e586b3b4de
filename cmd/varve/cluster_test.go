package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
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
	t.Setenv(httpVariable, a.http)
	wants(t, command(t, "", "cluster status"), exitOK, a.kafka, "v0.0.0-test")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	wants(t, command(t, "", "cluster status --http "+free), exitUnavailable, a.kafka, "no agent answers at "+free)
	wants(t, command(t, "", "cluster status --http "+a.http+"/nothing"), exitUnavailable, "is not an agent's")
}

func TestClusterOperations(t *testing.T) {
	a := startAgent(t)
	at := " --http " + a.http
	must(t, "", "topic create orders -p 3")
	wants(t, command(t, "", "cluster status"+at), exitOK, "JOURNAL", "1 of 1", "live")
	var s clusterState
	for late := time.Now().Add(2 * time.Minute); ; { // the slots are given out beside the start
		s = decode[clusterState](t, must(t, "", "cluster status --json"+at))
		if len(s.View.Agents) == 1 && s.View.Agents[0].Slots == 64 && s.View.Agents[0].Partitions == 3 || time.Now().After(late) {
			break
		}
	}
	if len(s.View.Agents) != 1 || s.View.Agents[0].Partitions != 3 || s.View.Agents[0].Slots != 64 || len(s.View.Journals) != 1 || s.View.Journals[0].State != "open" ||
		len(s.Agents) != 1 || s.Agents[0].Status == nil || s.Agents[0].Journals == nil || s.Agents[0].Problem != "" {
		t.Errorf("status %+v", s)
	}
	if m := s.Agents[0].Journals; len(m.Members) != 1 || !m.Members[0].Own || m.Journal != s.View.Journals[0].Journal {
		t.Errorf("the journal's members: %+v", m)
	}
	wants(t, command(t, "", "cluster balance"+at), exitOK, "0 partitions are being moved")
	wants(t, command(t, "", "cluster move orders/1 1"+at), exitOK, "goes to agent 1")
	wants(t, command(t, "", "cluster move orders/1 7"+at), exitNotFound, "no such agent is alive")
	wants(t, command(t, "", "cluster move nothing/1 1"+at), exitNotFound, "does not exist")
	wants(t, command(t, "", "cluster move orders/9 1"+at), exitNotFound, "partition 9 of topic 'orders' does not exist", "has 3")
	for _, bad := range []string{"cluster move orders 1", "cluster move orders/x 1", "cluster move orders/1 x", "cluster drain 0", "cluster drain"} {
		wants(t, command(t, "", bad+at), exitUsage)
	}
	wants(t, command(t, "", "cluster drain 7"+at), exitNotFound, "no such agent is alive")
	wants(t, command(t, "", "cluster drain 1"+at), exitFailed, "the last that isn't drained", "--force")
	wants(t, command(t, "", "cluster drain 1 --force"+at), exitOK, "draining agent 1: 3 partitions and 64 coordinator slots to move", "no other agent")
	wants(t, command(t, "", "cluster drain 1 --force --wait --wait-timeout 600ms"+at), exitUnavailable, "not drained after 600ms", "it is not safe to stop")
	wants(t, command(t, "", "cluster status"+at), exitOK, "drained")
	wants(t, command(t, "", "cluster move orders/1 1"+at), exitFailed, "is drained")
	must(t, "", "topic create more -p 2") // there is no other agent
	wants(t, command(t, "", "cluster undrain 7"+at), exitNotFound, "agent 7 is not known")
	wants(t, command(t, "", "cluster undrain 1"+at), exitOK, "agent 1 is no longer drained")
	mine := s.View.Journals[0].Journal
	wants(t, command(t, mine+"\n", "cluster accept-loss "+mine+at), exitFailed, "is alive")
	wants(t, command(t, "", "cluster accept-loss 999-1 --yes"+at), exitFailed, "nothing waits for it")
	wants(t, command(t, "", "cluster accept-loss x --yes"+at), exitUsage)
	a.stop()
	wants(t, command(t, "", "cluster balance"+at), exitUnavailable, "no agent answers")
	wants(t, command(t, "", "topic undelete orders --http "+a.http), exitUnavailable, "no agent answers")
}

func TestConfirm(t *testing.T) {
	for typed, yes := range map[string]bool{"12-1\n": true, " 12-1 ": true, "": false, "yes\n": false, "12-2\n": false} {
		if err := confirmName(strings.NewReader(typed), io.Discard, "journal", "12-1"); (err == nil) != yes {
			t.Errorf("%q: %v", typed, err)
		}
	}
}
