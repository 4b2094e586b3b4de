package schema

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"varve/auth/quota"
	"varve/auth/token"
	"varve/internal/id"
	"varve/internal/workbound"
)

var at = time.UnixMilli(1_790_000_000_123)

func sampleHead() *Head {
	return &Head{
		Ownership: Ownership{Owner: 7, Epoch: 5}, LogStart: 10, TieredEnd: 900,
		Epochs:   []EpochStart{{4, 0}, {5, 950}},
		Manifest: Manifest{Root: Page{Object{3, 9}, 4096}, Base: 10, End: 600, Slices: 70, Bytes: 1 << 40},
		Slices: []Slice{
			{Object: Object{6, 1}, Base: 600, End: 800, MinTime: 1000, MaxTime: 900, MinEpoch: 4, MaxEpoch: 4, Bytes: 77, IndexAt: 1 << 33, IndexLen: 80},
			{Object: Object{7, 2}, Base: 800, End: 900, MinTime: -1, MaxTime: -1, MinEpoch: 4, MaxEpoch: 5, Bytes: 5, IndexAt: 4, IndexLen: 8},
		},
	}
}

// forms lists every value with its decoder: encode returns the bytes of a sample,
// again decodes and encodes again.
var forms = []struct {
	name   string
	sample any
	encode func() []byte
	decode func([]byte) (any, error)
	again  func(any) []byte
}{
	{"bucket", Bucket{"place", "minio http://h:9000/b/p", at}, Bucket{"place", "minio http://h:9000/b/p", at}.Encode,
		func(b []byte) (any, error) { return DecodeBucket(b) }, func(v any) []byte { return v.(Bucket).Encode() }},
	{"cluster", Cluster{"abc", at, OldestLevel, 0}, Cluster{"abc", at, OldestLevel, 0}.Encode,
		func(b []byte) (any, error) { return DecodeCluster(b) }, func(v any) []byte { return v.(Cluster).Encode() }},
	{"leveled-cluster", Cluster{"abc", at, 4, 5}, Cluster{"abc", at, 4, 5}.Encode,
		func(b []byte) (any, error) { return DecodeCluster(b) }, func(v any) []byte { return v.(Cluster).Encode() }},
	{"levels", Levels{3, 4}, Levels{3, 4}.Encode,
		func(b []byte) (any, error) { return DecodeLevels(b) }, func(v any) []byte { return v.(Levels).Encode() }},
	{"agent", sampleAgent, sampleAgent.Encode,
		func(b []byte) (any, error) { return DecodeAgent(b) }, func(v any) []byte { return v.(Agent).Encode() }},
	{"role", Role{4, 9}, Role{4, 9}.Encode,
		func(b []byte) (any, error) { return DecodeRole(b) }, func(v any) []byte { return v.(Role).Encode() }},
	{"journal", sampleJournal, sampleJournal.Encode,
		func(b []byte) (any, error) { return DecodeJournal(b) }, func(v any) []byte { return v.(Journal).Encode() }},
	{"topic", sampleTopic, sampleTopic.Encode,
		func(b []byte) (any, error) { return DecodeTopic(b) }, func(v any) []byte { return v.(Topic).Encode() }},
	{"deleted", DeletedTopic{"t", at, sampleTopic, true}, DeletedTopic{"t", at, sampleTopic, true}.Encode,
		func(b []byte) (any, error) { return DecodeDeletedTopic(b) }, func(v any) []byte { return v.(DeletedTopic).Encode() }},
	{"config", Settings{"a": "b", "c": ""}, Settings{"a": "b", "c": ""}.Encode,
		func(b []byte) (any, error) { return DecodeSettings(b) }, func(v any) []byte { return v.(Settings).Encode() }},
	{"offsets", sampleOffsets, sampleOffsets.Encode,
		func(b []byte) (any, error) { return DecodeOffsets(b) }, func(v any) []byte { return v.(Offsets).Encode() }},
	{"group", sampleGroup, sampleGroup.Encode,
		func(b []byte) (any, error) { return DecodeGroup(b) }, func(v any) []byte { return v.(Group).Encode() }},
	{"move", Move{3}, Move{3}.Encode,
		func(b []byte) (any, error) { return DecodeMove(b) }, func(v any) []byte { return v.(Move).Encode() }},
	{"load", sampleLoad, sampleLoad.Encode,
		func(b []byte) (any, error) { return DecodeLoad(b) }, func(v any) []byte { return v.(Load).Encode() }},
	{"member", sampleMember, sampleMember.Encode,
		func(b []byte) (any, error) { return DecodeMember(b) }, func(v any) []byte { return v.(Member).Encode() }},
	{"user", sampleUser, sampleUser.Encode,
		func(b []byte) (any, error) { return DecodeUser(b) }, func(v any) []byte { return v.(User).Encode() }},
	{"token", sampleToken, sampleToken.Encode,
		func(b []byte) (any, error) { return DecodeToken(b) }, func(v any) []byte { return v.(Token).Encode() }},
	{"security", sampleSecurity, sampleSecurity.Encode,
		func(b []byte) (any, error) { return DecodeSecurity(b) }, func(v any) []byte { return v.(Security).Encode() }},
	{"acl", ACL{"User:admin", at}, ACL{"User:admin", at}.Encode,
		func(b []byte) (any, error) { return DecodeACL(b) }, func(v any) []byte { return v.(ACL).Encode() }},
	{"quotas", sampleQuotas, func() []byte { return EncodeQuotas(sampleQuotas) },
		func(b []byte) (any, error) { return DecodeQuotas(b) }, func(v any) []byte { return EncodeQuotas(v.(quota.Values)) }},
	{"ownership", sampleOwnership, sampleOwnership.Encode,
		func(b []byte) (any, error) { return DecodeOwnership(b) }, func(v any) []byte { o := v.(Ownership); return o.Encode() }},
	{"head", sampleHead(), func() []byte { return sampleHead().Encode() },
		func(b []byte) (any, error) { return DecodeHead(b) }, func(v any) []byte { return v.(*Head).Encode() }},
}

var (
	sampleOwnership = Ownership{7, 2, 5, []Link{{6, 4, 850}, {7, 5, 950}}}
	sampleUser      = User{at, map[ScramMechanism]ScramCredential{ScramSHA256: {4096, []byte{1, 2}, []byte{3}, []byte{4}}, ScramSHA512: {8192, []byte{5}, []byte{6}, []byte{}}}}
	sampleToken     = Token{"User:alice", "User:admin", []string{"User:bob", "User:carol"}, token.Times{Issued: at, Expires: at.Add(time.Hour), Max: at.Add(2 * time.Hour)}, token.SecretID{1, 2}, token.Proof{3, 4}, sampleUser.Scram}
	sampleSecurity  = Security{bytes.Repeat([]byte{7}, SecretBytes), at}
	sampleMember    = Member{at, true, "v1", "h:1", []StoreAt{{id.Store{1}, 9, "h:2"}, {id.Store{2}, 4, "g:2"}}}
	sampleAgent     = Agent{9, id.Store{1, 2}, "rack", "v1", "h:1", []Endpoint{{"PLAINTEXT", "host", 9092}}, "peer:1", true}
	sampleJournal   = Journal{JournalSealed, 3, []id.Store{{1}, {2}}, 2, 88, 12345, []id.Store{{7}}, true}
	sampleTopic     = Topic{id.Topic{4}, 6, at, Settings{"retention.ms": "-1"}}
	sampleGroup     = Group{"consumer", 7, "range", "m1", at, []GroupMember{
		{"m1", true, "i1", "c", "/127.0.0.1", time.Minute, 10 * time.Second, []byte{1}, []byte{2, 3}},
		{"m2", false, "", "c", "h", 0, time.Millisecond, []byte{4}, []byte{}}}}
	sampleLoad    = Load{4, 1, Work{1 << 40, 12}, []Hot{{id.Partition{Topic: id.Topic{9}, Index: 3}, Work{5, 6}}}}
	sampleOffsets = Offsets{0: {5, -1, "m", at, time.Time{}, id.Topic{1}}, 7: {0, 3, "", at, at, id.Topic{2}}, 8: {0, 3, "", at, at, id.Topic{1}}}
)

// Offsets of before topics were noted are read, without.
func TestOffsetsOfVersion1(t *testing.T) {
	o, err := DecodeOffsets([]byte{1, 1, 14, 10, 1, 1, 'm', 2, 0})
	if c := o[7]; err != nil || len(o) != 1 || c.Offset != 5 || c.LeaderEpoch != -1 || c.Metadata != "m" || c.Topic != (id.Topic{}) {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := DecodeOffsets([]byte{2, 0, 1, 0, 14, 10, 1, 1, 'm', 2, 0}); err == nil {
		t.Errorf("a commit of topic 0 of none: %+v", o)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	for _, f := range forms {
		b := f.encode()
		v, err := f.decode(b)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if !reflect.DeepEqual(v, f.sample) {
			t.Errorf("%s: got %+v, want %+v", f.name, v, f.sample)
		}
		for n := range b {
			if _, err := f.decode(b[:n]); err == nil {
				t.Errorf("%s: cut to %d of %d bytes it still decodes", f.name, n, len(b))
			}
		}
		b[0] = 99
		if _, err := f.decode(b); err == nil {
			t.Errorf("%s: version 99 is accepted", f.name)
		}
	}
}

func FuzzValues(f *testing.F) {
	for i, form := range forms {
		f.Add(uint8(i), form.encode())
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		form := forms[int(kind)%len(forms)]
		var v any
		var err error
		workbound.Check(t, len(b), func() { v, err = form.decode(b) })
		if err != nil {
			return
		}
		w, err := form.decode(form.again(v))
		if err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%s: %+v became %+v (%v)", form.name, v, w, err)
		}
	})
}

func TestKeysRoundTrip(t *testing.T) {
	p := id.Partition{Topic: id.Topic{0xab, 15: 1}, Index: 17}
	if got, err := ParseHeadKey(HeadKey(p)); err != nil || got != p {
		t.Errorf("head: %v, %v", got, err)
	}
	if got, err := ParseOwnerKey(OwnerKey(p)); err != nil || got != p {
		t.Errorf("owner: %v, %v", got, err)
	}
	if got, err := ParseMoveKey(MoveKey(p)); err != nil || got != p {
		t.Errorf("move: %v, %v", got, err)
	}
	if got, err := ParseAgentKey(AgentKey(12)); err != nil || got != 12 {
		t.Errorf("agent: %v, %v", got, err)
	}
	if got, err := ParseDrainKey(DrainKey(12)); err != nil || got != 12 {
		t.Errorf("drain: %v, %v", got, err)
	}
	if got, err := ParseLoadKey(LoadKey(12)); err != nil || got != 12 {
		t.Errorf("load: %v, %v", got, err)
	}
	if got, err := ParseMemberKey(MemberKey(12)); err != nil || got != 12 {
		t.Errorf("member: %v, %v", got, err)
	}
	j := id.Journal{Writer: 8, Seq: 2}
	if got, err := ParseJournalKey(JournalKey(j)); err != nil || got != j {
		t.Errorf("journal: %v, %v", got, err)
	}
	if got, err := ParseDeletedKey(DeletedKey(p.Topic)); err != nil || got != p.Topic {
		t.Errorf("deleted: %v, %v", got, err)
	}
	for _, name := range []string{"a", "a/b", "ü%2F", "", "..", "x y\x00"} {
		if got, err := ParseTopicKey(TopicKey(name)); err != nil || got != name {
			t.Errorf("topic %q: %q, %v", name, got, err)
		}
		if got, err := ParseUserKey(UserKey(name)); err != nil || got != name {
			t.Errorf("user %q: %q, %v", name, got, err)
		}
		if got, err := ParseTokenKey(TokenKey(name)); err != nil || got != name {
			t.Errorf("token %q: %q, %v", name, got, err)
		}
		if got, err := ParseGroupKey(GroupKey(name)); err != nil || got != name {
			t.Errorf("group %q: %q, %v", name, got, err)
		}
		for _, shard := range []int32{0, 1, 31250, math.MaxInt32 / OffsetsShard} {
			if g, top, n, err := ParseOffsetsKey(OffsetsShardKey(name, "t/"+name, shard)); err != nil || g != name || top != "t/"+name || n != shard {
				t.Errorf("offsets %q: %q, %q, %d, %v", name, g, top, n, err)
			}
		}
		if kind, got, err := ParseConfigKey(ClientMetricsConfigKey(name)); err != nil || kind != "client-metrics" || got != name {
			t.Errorf("client metrics config %q: %q, %q, %v", name, kind, got, err)
		}
		if kind, got, err := ParseConfigKey(GroupConfigKey(name)); err != nil || kind != "group" || got != name {
			t.Errorf("group config %q: %q, %q, %v", name, kind, got, err)
		}
		if kind, got, err := ParseConfigKey(BrokerConfigKey(name)); err != nil || kind != "broker" || got != name {
			t.Errorf("broker config %q: %q, %q, %v", name, kind, got, err)
		}
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	for _, key := range []string{"heads/zz/1", "heads/00000000000000000000000000000001", "heads/00000000000000000000000000000001/-1",
		"heads/00000000000000000000000000000001/01", "heads/00000000000000000000000000000001/99999999999"} {
		if p, err := ParseHeadKey(key); err == nil {
			t.Errorf("%q parsed as %v", key, p)
		}
	}
	for _, key := range []string{"offsets/g", "offsets/g/t/", "offsets/g/t/0", "offsets/g/t/01", "offsets/g/t/x", "offsets/g/t/-1", "offsets/g/t/1/2", "offsets/g/t/99999999"} {
		if g, top, n, err := ParseOffsetsKey(key); err == nil {
			t.Errorf("%q parsed as %q, %q, %d", key, g, top, n)
		}
	}
	for _, key := range []string{"journals/1", "journals/0-1", "journals/1-0", "journals/01-1"} {
		if j, err := ParseJournalKey(key); err == nil {
			t.Errorf("%q parsed as %v", key, j)
		}
	}
}
