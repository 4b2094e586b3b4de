package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"varve/admin"
	"varve/health"
)

func TestTrimSeekAndDeleteOffsets(t *testing.T) {
	a := startAgent(t)
	must(t, "", "topic create orders -p 2")
	must(t, numbers(100), "produce orders -p 0")
	must(t, numbers(50), "produce orders -p 1")
	must(t, "", "consume orders --group g")
	wants(t, command(t, "", "topic trim orders:0 --before 40"), exitOK, "would be deleted", "Nothing was deleted")
	rows := decode[[]trimmedPartition](t, must(t, "", "topic trim orders:0 --before 40 --execute --json"))
	if len(rows) != 1 || rows[0] != (trimmedPartition{Topic: "orders", To: 40, outcome: outcome{Done: true}}) {
		t.Errorf("trimmed %+v", rows)
	}
	if out := must(t, "", "consume orders -p 0"); strings.Count(out, "\n") != 60 {
		t.Errorf("%d records are left", strings.Count(out, "\n"))
	}
	wants(t, command(t, "", "consume orders -p 0 --from 7 -n 1"), exitOK, "7 is before the start, 40")
	wants(t, command(t, "", "topic trim orders --before 1000 --execute"), exitFailed, "1000 is after the end")
	wants(t, command(t, "", "topic trim orders"), exitUsage, "--before")
	wants(t, command(t, "", "topic trim nope --before end"), exitNotFound)

	committed := func() (at []int64) {
		for _, p := range decode[[]groupDetail](t, must(t, "", "group describe g --json"))[0].Partitions {
			at = append(at, p.Committed)
		}
		return at
	}
	must(t, "", "group seek g --to end --dry-run")
	must(t, "", "group seek g --to start")
	if at := committed(); at[0] != 40 || at[1] != 0 {
		t.Errorf("at the start it is %v", at)
	}
	wants(t, command(t, "", "group seek g --to 99 --topic orders/1"), exitOK, "set", "99 is after the end, 50")
	wants(t, command(t, "", "group reset g --to-offset 7 --topic orders:0"), exitOK, "7 is before the start, 40")
	wants(t, command(t, "", "group reset nope --to-latest --topic orders"), exitOK, "it is new, or its name is misspelt")
	wants(t, command(t, "", "group seek g"), exitUsage, "--to")
	wants(t, command(t, "", "group offset-delete g --topic orders:1"), exitOK, "deleted")
	if at := committed(); len(at) != 2 || at[1] != -1 {
		t.Errorf("after one was deleted there are %v", at)
	}
	wants(t, command(t, "", "group offset-delete g --topic orders:1"), exitNotFound, "has no offset of partition 1")
	wants(t, command(t, "", "group offset-delete g"), exitUsage, "--topic")

	i := decode[*clusterInfo](t, must(t, "", "cluster info --json"))
	if i.Cluster == "" || len(i.Brokers) != 1 || i.Brokers[0].Address != a.kafka || i.Topics != 1 || i.Partitions != 2 || i.Leaderless != 0 {
		t.Errorf("info %+v", i)
	}
	wants(t, command(t, "", "cluster info"), exitOK, "1 topic", "2 partitions", a.kafka)
	t.Setenv(httpVariable, a.http)
	wants(t, command(t, "", "cluster balance"), exitOK, "0 partitions are being moved")
	t.Setenv(httpVariable, "http://"+a.http+"/")
	wants(t, command(t, "", "cluster balance"), exitOK)
	var shown strings.Builder
	f := topicCreation{replication: 1}
	if err := new(jsonFlag).write(&shown, nil, func(t *table) { f.print(t, []createdTopic{{Topic: "t", Replication: 3, Created: true}}) }); err != nil || !strings.Contains(shown.String(), "its replication factor is the cluster's, 3") {
		t.Errorf("%v: %s", err, shown.String())
	}
}

// TestGuesses: a name from another tool is answered with the name here.
func TestGuesses(t *testing.T) {
	for line, want := range map[string]string{
		"prodcue": "'produce'", "list": "'varve topic list'", "brokers": "'varve cluster info'", "group offsets": "'varve group describe'", "topic delte": "'delete'",
		"status": "'varve cluster status'", "topic brokers": "'varve cluster info'", "undrain": "'varve cluster undrain'", "server": "'varve agent'", "topic add-partitions": "'varve topic alter'",
		"topic list --patern x": "", "consume x --folow": "--follow", "consume x --formt y": "--format", "cluster balance -b x:1": "--http or VARVE_HTTP_ADDR", "topic create -t x": "the topic is an argument",
		"cluster helath --http X": "'health'", "topic creat x -b B": "'create'", "health -b x": "'varve cluster health'", "tail x -f": "'varve consume'", "consum x -n 1": "'consume'",
		"group lag": "'varve group describe'", "group lag g -b x": "'varve group describe'", "topic offsets t --brokers x": "'varve topic describe'", "cluster ready --http x": "'varve cluster health'",
		"consume x --offset 1": "did you mean --from?", "topic list --bootstrap-server x": "did you mean --brokers?", "cluster --http x": "unknown flag: --http", "topic -x": "unknown shorthand flag",
	} {
		wants(t, command(t, "", line), exitUsage, want)
	}
	wants(t, command(t, "", "version"), exitOK, "varve ", "commit", "go1.")
	for _, line := range []string{"topics ls --help", "groups ls --help", "topic rm --help", "topic produce --help", "topic consume --help", "topic info --help", "cluster metadata --help", "group delete-offsets --help"} {
		wants(t, command(t, "", line), exitOK, "Usage:")
	}
}

// An agent that is gone in the middle of a drain isn't drained: what it had may be on its disk only. It is drained when it
// is back and has nothing left.
func TestDrainOfOneThatDies(t *testing.T) {
	agents := func(three ...admin.AgentStatus) admin.ClusterStatus {
		return admin.ClusterStatus{Agents: append([]admin.AgentStatus{{Broker: 1}, {Broker: 2}}, three...)}
	}
	answers := []admin.ClusterStatus{agents(admin.AgentStatus{Broker: 3, Partitions: 4}), agents(), agents(), agents(admin.AgentStatus{Broker: 3})}
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(answers[min(asked, len(answers)-1)]); err != nil {
			t.Error(err)
		}
		asked++
	}))
	defer s.Close()
	f := &drainFlags{limit: time.Minute}
	f.at.addr = s.Listener.Addr().String()
	var said strings.Builder
	if d, err := f.await(t.Context(), 3, &said); err != nil || !d.Stoppable || asked != len(answers) {
		t.Errorf("after %d answers: %+v, %v", asked, d, err)
	}
	if !strings.Contains(said.String(), "agent 3: it has no session") {
		t.Error(said.String())
	}
}

// TestSafeToStop: a drained agent may be stopped when every journal has a quorum without it.
func TestSafeToStop(t *testing.T) {
	three := []admin.MemberStatus{{Broker: 1, Live: true}, {Broker: 2, Live: true}, {Broker: 3, Live: true}}
	for name, c := range map[string]struct {
		change func(*admin.ClusterStatus)
		safe   bool
	}{
		"all there":           {func(*admin.ClusterStatus) {}, true},
		"partitions":          {func(s *admin.ClusterStatus) { s.Agents[2].Partitions = 1 }, false},
		"slots":               {func(s *admin.ClusterStatus) { s.Agents[2].Slots = 1 }, false},
		"another is away":     {func(s *admin.ClusterStatus) { s.Journals[0].Members[1].Live = false }, false},
		"its own journal":     {func(s *admin.ClusterStatus) { s.Journals[0].Broker, s.Journals[0].Members[1].Live = 3, false }, true},
		"it isn't a member":   {func(s *admin.ClusterStatus) { s.Journals[0].Members = s.Journals[0].Members[:1] }, true},
		"a journal is sealed": {func(s *admin.ClusterStatus) { s.Journals[0].State, s.Journals[0].Members[1].Live = "sealed", false }, true},
	} {
		s := &admin.ClusterStatus{Agents: []admin.AgentStatus{{Broker: 1}, {Broker: 2}, {Broker: 3}},
			Journals: []admin.JournalStatus{{Broker: 1, State: "open", Quorum: 2, Members: append([]admin.MemberStatus(nil), three...)}}}
		c.change(s)
		if d := left(s, 3); d.Stoppable != c.safe {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestCompletion: what shells offer.
func TestCompletion(t *testing.T) {
	a := startAgent(t)
	t.Setenv(httpVariable, a.http)
	must(t, "", "topic create orders -p 1")
	for line, want := range map[string]string{
		"produce --compression": "zstd", "produce orders --acks": "all", "group list --state": "Stable", "agent --log-level": "debug", "config --store-driver": "minio", "consume": "orders", "consume -t": "orders",
		"topic create x --config": "retention.ms=", "topic alter x --set": "cleanup.policy=", "topic alter x --delete": "retention.ms\t", "cluster drain": "1", "cluster move x/1": "1", "bench produce --compression": "lz4",
	} {
		if out := must(t, "", "__complete "+line, ""); !strings.Contains(out, want) {
			t.Errorf("%s <TAB> offers %q", line, out)
		}
	}
	for prefix, want := range map[string]string{"": "orders/\n", "ord": "orders/\n", "orders/": "orders/0\n"} {
		if out := must(t, "", "__complete cluster move", prefix); !strings.HasPrefix(out, want) {
			t.Errorf("cluster move %s<TAB> offers %q", prefix, out)
		}
	}
	for _, line := range []string{"cluster accept-loss", "cluster forget"} { // nothing waits, no agent is away
		if out := must(t, "", "__complete "+line, ""); !strings.HasPrefix(out, ":4") {
			t.Errorf("%s <TAB> offers %q", line, out)
		}
	}
	if got := waiting(&admin.ClusterStatus{Journals: []admin.JournalStatus{{Journal: "1-1"}, {Journal: "2-1", Waits: true}}}); !slices.Equal(got, []string{"2-1"}) {
		t.Errorf("%v wait", got)
	}
	if got := away(&health.Answer{Agents: []health.AgentState{{Broker: 1, State: "serving"}, {Broker: 2, State: "gone"}, {Broker: 3, State: "stopped"}}}); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("%v are away", got)
	}
	if out := must(t, "", "__complete cluster balance", ""); !strings.HasPrefix(out, ":4") {
		t.Errorf("files are offered: %q", out)
	}
}
