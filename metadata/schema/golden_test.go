package schema

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"varve/internal/golden"
	"varve/internal/id"
)

// Values are encoded byte for byte as ever, and those that an earlier build wrote are
// read. When a value gets a new version, its old bytes move to a test of their own, as
// TestOffsetsOfVersion1 is.
func TestGoldenValues(t *testing.T) {
	var now strings.Builder
	for _, f := range forms {
		fmt.Fprintf(&now, "%s %x\n", f.name, f.encode())
	}
	golden.Check(t, "testdata/values.txt", now.String())
	for line := range strings.Lines(golden.Read(t, "testdata/values.txt")) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found := false
		for _, f := range forms {
			if f.name != name {
				continue
			}
			found = true
			if v, err := f.decode(b); err != nil || !reflect.DeepEqual(v, f.sample) {
				t.Errorf("%s: %+v, %v, want %+v", name, v, err, f.sample)
			}
		}
		if !found {
			t.Errorf("nothing reads %s any more", name)
		}
	}
}

// Keys that an earlier build wrote are found.
func TestGoldenKeys(t *testing.T) {
	var now strings.Builder
	p := id.Partition{Topic: id.Topic{0xab, 15: 1}, Index: 17}
	for _, key := range []string{KeyCluster, KeyBucket, KeyIncarnation, KeyProducers, KeyGarbageHeld, KeyController, KeySecurity, KeyTurn,
		AgentKey(12), LevelsKey(12), MemberKey(12), SlotKey(3), JournalKey(id.Journal{Writer: 8, Seq: 2}), TopicKey("a/b ü"), DeletedKey(p.Topic),
		OwnerKey(p), HeadKey(p), MoveKey(p), DrainKey(12), LoadKey(12), BrokerConfigKey("1"), BrokerConfigKey(""), GroupConfigKey("g/1"), ClientMetricsConfigKey("m/1"),
		UserKey("a/b"), GroupKey("g/1"), OffsetsShardKey("g/1", "t", 0), OffsetsShardKey("g/1", "t", 2), ACLKey(sampleBinding), QuotaKey(sampleEntity), TokenKey("T4kGxTQ_Qa-3k0hbIT0pPw")} {
		fmt.Fprintln(&now, key)
	}
	golden.Check(t, "testdata/keys.txt", now.String())
}
