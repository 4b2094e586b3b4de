package schema

import (
	"strings"
	"testing"
)

// A value of a version that isn't known says so; so do levels that aren't known.
func TestNewerClustersAreRefused(t *testing.T) {
	b := Cluster{ID: "abc", Level: 7}.Encode()
	b[0] = clusterVersion + 1
	if _, err := DecodeCluster(b); err == nil || !strings.Contains(err.Error(), "a newer build") {
		t.Error(err)
	}
	for text, c := range map[string]Cluster{
		"":                          {Level: 4},
		"at level 2":                {Level: 2},
		"was finalized at level 6":  {Level: 6},
		"finalized at level 6, thi": {Level: 4, Next: 6},
	} {
		err := Levels{3, 5}.Check(c)
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Builds that know nothing of levels read the record of a cluster at the oldest one, and no other.
func TestOldestLevelIsOldVersion(t *testing.T) {
	for c, version := range map[Cluster]byte{{Level: OldestLevel}: 3, {Level: OldestLevel, Next: 4}: 4, {Level: 4}: 4, {Level: 9}: 4} {
		if b := c.Encode(); b[0] != version {
			t.Errorf("%+v is of version %d", c, b[0])
		}
	}
}
