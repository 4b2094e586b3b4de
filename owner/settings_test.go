package owner

import (
	"testing"

	"varve/cluster"
	"varve/metadata/schema"
)

// An empty policy keeps everything; a negative size is no limit; "compact" alone drops
// nothing by time.
func TestPoliciesOfPartitions(t *testing.T) {
	for policy, want := range map[string][2]bool{"": {false, false}, "delete": {false, true}, "compact": {true, false}, "compact,delete": {true, true}} {
		topic := &cluster.Topic{Name: "t", Topic: schema.Topic{Config: schema.Settings{"cleanup.policy": policy, "retention.bytes": "-5"}}}
		s := partitionSettings(cluster.NewView(nil, nil), topic, "1")
		if s.Compact != want[0] || s.Delete != want[1] || s.RetentionBytes != -1 {
			t.Errorf("%q: %+v", policy, s)
		}
	}
}
