package main

import (
	"strings"
	"testing"
	"time"

	"varve/admin"
	"varve/health"
)

// TestStatusText: one is not many, a member without agent is unavailable, and without etcd
// that is said at the head of the verdict.
func TestStatusText(t *testing.T) {
	s := &clusterState{Cluster: "c", Topics: 1, Partitions: 1,
		View:   &admin.ClusterStatus{Journals: []admin.JournalStatus{{Journal: "1-1", Members: []admin.MemberStatus{{Broker: 2, Host: "h2:9645"}}}}, MovesTotal: 1},
		Health: &health.Answer{Level: health.Degraded, EtcdAwaySince: time.Unix(900, 0)}}
	var out strings.Builder
	if err := new(jsonFlag).write(&out, nil, s.print); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 topic  1 partition  0 without", "2 at h2:9645 (unavailable)", "moving: 1 partition\n", "degraded: etcd does not answer; what follows is the last that was known at 1970-01-01 00:15:00"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, &out)
		}
	}
}
