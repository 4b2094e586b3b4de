package main

import (
	"strings"
	"testing"
	"time"

	"varve/admin"
)

// TestLossIsSpelledOut: before, the command prints which agent had the journal, on which host, what stays, and
// since when something may be lost; afterwards, what was lost, as far as that is known.
func TestLossIsSpelledOut(t *testing.T) {
	now := time.Now()
	members := []admin.MemberStatus{
		{Store: "s1", Broker: 1, Host: "h1:9645", Live: true, Entries: 7},
		{Store: "s2", Broker: 2, Host: "h2:9645", Gone: true, Entries: -1},
		{Store: "s3", Broker: -1, Entries: -1},
		{Store: "s4", Broker: 4, Host: "h4:9645", Entries: -1},
	}
	for name, x := range map[string]struct {
		cost admin.LossCost
		says []string
	}{
		"some left": {admin.LossCost{KeptRecords: 12, KeptBytes: 3000, NewestKeptMs: now.Add(-time.Minute).UnixMilli(), TieredMs: 5, LostEntries: -1},
			[]string{"12 records of it (3.0 kB) that are not in the bucket yet", "1m0s ago", "written after that", "It may be nothing"}},
		"none left":    {admin.LossCost{NewestKeptMs: -1, TieredMs: now.Add(-time.Hour).UnixMilli(), LostEntries: -1}, []string{"nothing of it that is not in the bucket", "1h0m0s ago"}},
		"nothing ever": {admin.LossCost{NewestKeptMs: -1, TieredMs: -1, LostEntries: 1}, []string{"all of them may be lost: 1 entry in all"}},
	} {
		x.cost.JournalStatus = admin.JournalStatus{Journal: "9-1", Broker: 2, State: "open", Members: members}
		x.cost.Partitions, x.cost.Topics = 3, []string{"t"}
		var b strings.Builder
		sayCost(&b, &x.cost)
		for _, want := range append(x.says, "agent 1 (h1:9645): alive, has entries up to 7", "agent 2 (h2:9645): its disk is gone", "not known (s3)", "agent 4 (h4:9645): not alive") {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: want %q in\n%s", name, want, &b)
			}
		}
	}
	many := admin.LossCost{Partitions: 1, TopicsTotal: 103}
	for range 100 {
		many.Topics = append(many.Topics, "t")
	}
	var b strings.Builder
	sayCost(&b, &many)
	if !strings.Contains(b.String(), "records of 1 partition may") || !strings.Contains(b.String(), "t, and 93 more)") || strings.Count(b.String(), " t,") > 10 {
		t.Errorf("many topics: %s", &b)
	}
	for want, l := range map[string]admin.Loss{
		"nothing was lost":                     {Whole: true, Kept: 5},
		"3 entries are lost":                   {Kept: 5, Lost: 3},
		"1 entry is lost":                      {Gone: true, Lost: 1},
		"nothing of it was left":               {Gone: true, Lost: -1},
		"Whether there were more is not known": {Kept: 5, Lost: -1},
	} {
		if got := saidLoss(&l); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q", l, got, want)
		}
	}
}
