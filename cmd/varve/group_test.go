package main

import (
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create orders -p 2")
	must(t, numbers(100), "produce orders -p 0")
	must(t, numbers(50), "produce orders -p 1")
	if out := must(t, "", "consume orders --group readers"); strings.Count(out, "\n") != 150 {
		t.Errorf("the group read %d records", strings.Count(out, "\n"))
	}
	if out := must(t, "", "consume orders --group readers"); out != "" {
		t.Errorf("the group read %q twice", out)
	}
	must(t, "new\n", "produce orders -p 1")
	if out := must(t, "", "consume orders --group readers"); out != "new\n" {
		t.Errorf("the group read %q", out)
	}
	if out := must(t, "", "consume orders --group some -n 10"); strings.Count(out, "\n") != 10 {
		t.Errorf("ten records are %q", out)
	}

	rows := decode[[]groupRow](t, must(t, "", "group list --json"))
	if len(rows) != 2 || rows[0].Group != "readers" || rows[0].State != "Empty" || rows[0].ProtocolType != "consumer" || rows[1].Group != "some" {
		t.Errorf("listed %+v", rows)
	}
	if out := must(t, "", "group list --state Stable"); strings.Contains(out, "readers") {
		t.Errorf("stable groups:\n%s", out)
	}
	d := decode[[]groupDetail](t, must(t, "", "group describe some readers --json"))
	if len(d) != 2 || d[0].Group != "readers" || d[0].Lag != 0 || len(d[0].Partitions) != 2 || d[0].Partitions[1].Committed != 51 || d[1].Lag != 141 {
		t.Errorf("described %+v", d)
	}
	wants(t, command(t, "", "group describe readers"), exitOK, "COMMITTED", "lag 0")
	wants(t, command(t, "", "group describe nope"), exitNotFound, "there is no such group")

	wants(t, command(t, "", "group delete readers nope"), exitNotFound, "group readers deleted", "nope")
	wants(t, command(t, "", "group describe readers"), exitNotFound)
}

func TestGroupReset(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create orders -p 2")
	must(t, numbers(100), "produce orders -p 0")
	must(t, numbers(50), "produce orders -p 1")
	must(t, "", "consume orders --group g")

	reset := func(flags string) []resetRow {
		t.Helper()
		return decode[[]resetRow](t, must(t, "", "group reset g --json "+flags))
	}
	dry := reset("--all-topics --shift -10")
	if len(dry) != 2 || dry[0] != (resetRow{"orders", 0, 100, 90, outcome{}, ""}) || dry[1] != (resetRow{"orders", 1, 50, 40, outcome{}, ""}) {
		t.Errorf("dry run %+v", dry)
	}
	wants(t, command(t, "", "group reset g --all-topics --to-earliest"), exitOK, "would be set", "0 (-100)", "Nothing was changed")
	for _, c := range []struct {
		flags    string
		to0, to1 int64
	}{
		{"--all-topics --to-earliest", 0, 0},
		{"--topic orders --to-offset 70", 70, 50}, // as far as the partition goes
		{"--topic orders:1 --to-offset 7", 70, 7},
		{"--topic orders:0-1 --shift -60", 10, 0},
		{"--all-topics --to-time @0", 0, 0},
		{"--all-topics --to-latest", 100, 50},
	} {
		for _, r := range reset(c.flags + " --execute") {
			if !r.Done {
				t.Errorf("%s: %+v", c.flags, r)
			}
		}
		d := decode[[]groupDetail](t, must(t, "", "group describe g --json"))
		if p := d[0].Partitions; p[0].Committed != c.to0 || p[1].Committed != c.to1 {
			t.Errorf("after %s: %+v", c.flags, p)
		}
	}
	reset("--all-topics --shift -1 --execute")
	if out := must(t, "", "consume orders --group g"); len(strings.Fields(out)) != 2 {
		t.Errorf("after a shift of -1 the group reads %q", out)
	}
	wants(t, command(t, "", "group reset g --all-topics"), exitUsage, "exactly one of")
	wants(t, command(t, "", "group reset g --all-topics --to-latest --shift 1"), exitUsage, "exactly one of")
	wants(t, command(t, "", "group reset g --to-latest"), exitUsage, "--all-topics")
	wants(t, command(t, "", "group reset g --topic orders:x --to-latest"), exitUsage, "orders:x")
	wants(t, command(t, "", "group reset g --topic orders:7 --to-latest"), exitNotFound, "no partition 7")
	wants(t, command(t, "", "group reset g --topic nope --to-latest"), exitNotFound)
	wants(t, command(t, "", "group reset unknown --all-topics --to-latest"), exitNotFound, "has no offsets")
	wants(t, command(t, "", "group reset g --all-topics --to-time soon"), exitUsage, "--to-time")
}
