package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/bench"
)

func TestBenchmarksMeasure(t *testing.T) {
	a := startAgent(t)
	run := func(line string) bench.Result {
		t.Helper()
		r := decode[bench.Result](t, must(t, "", "bench "+line+" --json -t measured"))
		if r.Records <= 0 || r.MBs <= 0 || r.Seconds <= 0 || r.Errors != 0 {
			t.Errorf("bench %s: %+v", line, r)
		}
		return r
	}
	raw := run("rawproduce -d 100ms --batch 8192 --size 100 -c 2 --depth 3 --fan 2 --partitions 3 --pids 1")
	if raw.Mode != "rawproduce" || raw.Latency == nil || raw.Requests <= 0 || raw.RSSMB <= 0 {
		t.Errorf("rawproduce %+v", raw)
	}
	acked := raw.Records + run("produce -d 100ms --size 100 -c 2 --idempotent").Records
	paced := run("produce -d 200ms --size 100 --rate 500")
	if most := int64(500*paced.Seconds) + 2; paced.Records > most || paced.Latency == nil {
		t.Errorf("at 500 records a second for %v s there are %d", paced.Seconds, paced.Records)
	}
	acked += paced.Records
	e2e := run("e2e -d 200ms --rate 500 --size 100 --linger 0s")
	if e2e.EndToEnd == nil || e2e.Received != e2e.Records || e2e.EndToEnd.P50 <= 0 {
		t.Errorf("e2e %+v", e2e)
	}
	acked += e2e.Records
	gap := run("gap -d 300ms --every 10ms")
	if gap.Gap == nil || gap.Gap.Max < 10 || gap.Gap.Max > 1000*gap.Seconds || gap.Partitions != 3 || gap.Records < 3 {
		t.Errorf("gap %+v of %+v", gap.Gap, gap)
	}
	acked += gap.Records
	total := a.records(t, "measured")
	if total < acked { // what was acknowledged after the end of a measurement isn't counted
		t.Errorf("the topic has %d records, %d were acknowledged", total, acked)
	}
	if r := run("rawfetch -c 2"); r.Records != total || r.FirstMs <= 0 {
		t.Errorf("rawfetch read %d records, written were %d", r.Records, total)
	}
	if r := run("consume"); r.Records != total {
		t.Errorf("consume read %d records, written were %d", r.Records, total)
	}
	if r := run("consume -c 2"); r.Records < total {
		t.Errorf("two consumers read %d records, written were %d", r.Records, total)
	}
	if out := must(t, "", "group list"); strings.Contains(out, "varve-bench") {
		t.Errorf("a group was left behind:\n%s", out)
	}
	run("rawproduce -d 50ms --batch 8192 --size 100 --acks 0")
	commit := decode[bench.Result](t, must(t, "", "bench commit -d 200ms -c 2 --groups 3 --json -t measured"))
	if commit.Mode != "commit" || commit.Commits <= 0 || commit.Latency == nil || commit.Errors != 0 || commit.Partitions != 3 {
		t.Errorf("commit %+v", commit)
	}
	if out := must(t, "", "group list"); strings.Contains(out, "varve-bench") {
		t.Errorf("a group was left behind:\n%s", out)
	}
}

// Logins are measured with both mechanisms of a listener, and refused ones are told.
func TestLoginsAreMeasured(t *testing.T) {
	profilesIn(t)
	dir := t.TempDir()
	startAgent(t, issues(t, dir))
	password := filepath.Join(dir, "password")
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		r := decode[bench.Result](t, must(t, "", "bench login -d 200ms -c 2 --json --user admin --password-file "+password+" --sasl "+mechanism))
		if r.Mode != "login" || r.Records <= 0 || r.Latency == nil || r.Errors != 0 {
			t.Errorf("%s: %+v", mechanism, r)
		}
	}
	wants(t, command(t, "", "bench login -d 200ms --user admin --password-file "+password), exitOK, "logins/s")
	if err := os.WriteFile(password, []byte("guess"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "bench login -d 200ms --user admin --password-file "+password), exitFailed, "SASL_AUTHENTICATION_FAILED")
}

// records is how many records a topic has.
func (a *testAgent) records(t *testing.T, topic string) (n int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

func TestBenchmarksForPeople(t *testing.T) {
	startAgent(t)
	wants(t, command(t, "", "bench rawproduce -d 50ms --batch 8192"), exitOK, "created topic bench with 6 partitions", "MB/s", "p99.9")
	wants(t, command(t, "", "bench commit -d 50ms"), exitOK, "commits/s", "LATENCY", "commit ")
	wants(t, command(t, "", "bench commit --groups 0"), exitUsage, "number of groups is 0")
	wants(t, command(t, "", "bench txn --records 0"), exitUsage, "number of records in a transaction is 0")
	wants(t, command(t, "", "bench txn -t nope"), exitFailed, "bench txn: the broker has no transactions")
	wants(t, command(t, "", "bench rawfetch -t nope"), exitNotFound, "there is no such topic")
	wants(t, command(t, "", "bench rawproduce --acks x"), exitUsage, "--acks")
	wants(t, command(t, "", "bench rawproduce --depth 0"), exitUsage, "depth is 0")
	wants(t, command(t, "", "bench rawproduce -d 50ms --pids "+strconv.Itoa(1<<30)), exitFailed, "process")
	wants(t, command(t, "", "bench gap --every -1s"), exitUsage, "pause is -1s")
	wants(t, command(t, "", "bench e2e --rate 0"), exitUsage, "needs a rate")
}
