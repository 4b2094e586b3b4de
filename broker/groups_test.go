package broker

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/coordinator"
	"varve/group"
	"varve/group/classic"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// fakeCluster has one topic and one agent.
type fakeCluster struct{ only cluster.Topic }

func (f *fakeCluster) topic(_ context.Context, byID bool, name string, t id.Topic) (*cluster.Topic, error) {
	switch {
	case byID && t == f.only.ID, !byID && name == f.only.Name:
		return &f.only, nil
	case byID:
		return nil, kerr.UnknownTopicID
	}
	return nil, kerr.UnknownTopicOrPartition
}

func (f *fakeCluster) IsTopic(_ context.Context, name string, t id.Topic) (bool, error) {
	return name == f.only.Name && t == f.only.ID, nil
}

func (f *fakeCluster) Coordinator(_, listener string, _ net.Addr) (id.Broker, string, int32, bool) {
	return 3, "host", 9092, listener == "PLAINTEXT"
}

// groupTest serves requests as they come off the wire: each is encoded and
// decoded, and its answer too, in the version asked for.
type groupTest struct {
	*testing.T
	*groupAPIs
	memory *metadata.Memory
	topic  cluster.Topic
}

func withGroups(t *testing.T, f func(*groupTest)) {
	synctest.Test(t, func(t *testing.T) {
		memory := metadata.NewMemory()
		store := memory.Open()
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		writer := metadata.NewWriter(store, metadata.DefaultWriterConfig(), log, nil)
		cfg := group.DefaultConfig()
		cfg.Offsets.OffsetMetadataMaxBytes = 8
		fake := &fakeCluster{cluster.Topic{Name: "t", Topic: schema.Topic{ID: id.Topic{7}, Partitions: 2}}}
		groups := group.Open(cfg, store, writer, fake, nil, log, nil)
		for n := range coordinator.Slots {
			groups.OwnSlots(map[int]metadata.Guard{n: {}})
		}
		synctest.Wait()
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			groups.Close(ctx)
			writer.Close(ctx)
			store.Close()
		}()
		f(&groupTest{t, &groupAPIs{groups, fake, fake, slog.New(slog.DiscardHandler)}, memory, fake.only})
	})
}

// call sends a request in a version and gives what a client reads.
func call[Req kmsg.Request, Resp kmsg.Response](g *groupTest, version int16, req Req,
	serve func(context.Context, *caller, Req) Resp) Resp {
	g.Helper()
	req.SetVersion(version)
	read := kmsg.RequestForKey(req.Key()).(Req)
	read.SetVersion(version)
	if err := read.ReadFrom(req.AppendTo(nil)); err != nil {
		g.Fatalf("%T v%d: %v", req, version, err)
	}
	resp := serve(g.Context(), &caller{clientID: "client", host: "10.0.0.1", listener: "PLAINTEXT"}, read)
	if resp.GetVersion() != version {
		g.Fatalf("%T has version %d, not %d", resp, resp.GetVersion(), version)
	}
	out := read.ResponseKind().(Resp)
	if err := out.ReadFrom(resp.AppendTo(nil)); err != nil {
		g.Fatalf("%T v%d: %v", resp, version, err)
	}
	return out
}

func (g *groupTest) code(what string, got int16, want *kerr.Error) {
	g.Helper()
	if want == nil && got != 0 || want != nil && got != want.Code {
		g.Fatalf("%s: %v, want %v", what, kerr.ErrorForCode(got), want)
	}
}

func joinRequest(group string) *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.ProtocolType = group, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 10000, 20000
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("m")}}
	return r
}

// member joins and syncs one member in the given versions.
func (g *groupTest) member(group string, joinVersion, syncVersion int16) (string, int32) {
	g.Helper()
	req := joinRequest(group)
	r := call(g, joinVersion, req, g.joinGroup)
	if joinVersion >= 4 {
		g.code("first join", r.ErrorCode, kerr.MemberIDRequired)
		req.MemberID = r.MemberID
		r = call(g, joinVersion, req, g.joinGroup)
	}
	g.code("join", r.ErrorCode, nil)
	if r.LeaderID != r.MemberID || len(r.Members) != 1 || *r.Protocol != "range" || string(r.Members[0].ProtocolMetadata) != "m" {
		g.Fatalf("joined %+v", r)
	}
	s := kmsg.NewPtrSyncGroupRequest()
	s.Group, s.MemberID, s.Generation = group, r.MemberID, r.Generation
	if syncVersion >= 5 {
		g.code("sync without protocol", call(g, syncVersion, s, g.syncGroup).ErrorCode, kerr.InconsistentGroupProtocol)
	}
	s.ProtocolType, s.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	s.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: r.MemberID, MemberAssignment: []byte("a")}}
	sr := call(g, syncVersion, s, g.syncGroup)
	g.code("sync", sr.ErrorCode, nil)
	if string(sr.MemberAssignment) != "a" {
		g.Fatalf("assignment %q", sr.MemberAssignment)
	}
	return r.MemberID, r.Generation
}

// Every version of the membership APIs takes a member through its life.
func TestGroupLifeInAllVersions(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		for v := int16(0); v <= 9; v++ {
			id, gen := g.member("g", v, min(v, 5))
			h := kmsg.NewPtrHeartbeatRequest()
			h.Group, h.MemberID, h.Generation = "g", id, gen
			g.code("heartbeat", call(g, min(v, 4), h, g.heartbeat).ErrorCode, nil)
			h.Generation++
			g.code("heartbeat", call(g, min(v, 4), h, g.heartbeat).ErrorCode, kerr.IllegalGeneration)
			g.leave(min(v, 5), id, nil)
			g.leave(min(v, 5), id, kerr.UnknownMemberID)
		}
		e := joinRequest("")
		g.code("join", call(g, 9, e, g.joinGroup).ErrorCode, kerr.InvalidGroupID)
		e = joinRequest("g")
		e.SessionTimeoutMillis = 1
		r := call(g, 6, e, g.joinGroup)
		g.code("join", r.ErrorCode, kerr.InvalidSessionTimeout)
		if r.Generation != -1 || r.LeaderID != "" || r.Protocol == nil || *r.Protocol != "" {
			t.Fatalf("refused with %+v", r)
		}
	})
}

func (g *groupTest) leave(version int16, id string, want *kerr.Error) {
	g.Helper()
	l := kmsg.NewPtrLeaveGroupRequest()
	l.Group, l.MemberID, l.Members = "g", id, []kmsg.LeaveGroupRequestMember{{MemberID: id}}
	r := call(g, version, l, g.leaveGroup)
	if version < 3 {
		g.code("leave", r.ErrorCode, want)
		return
	}
	g.code("leave", r.ErrorCode, nil)
	if len(r.Members) != 1 || r.Members[0].MemberID != id {
		g.Fatalf("left %+v", r.Members)
	}
	g.code("leave", r.Members[0].ErrorCode, want)
}

func (g *groupTest) commitRequest(group string) *kmsg.OffsetCommitRequest {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation = group, -1
	for _, topic := range []string{"t", "nope"} {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = topic
		if topic == "t" {
			rt.TopicID = g.topic.ID
		} else {
			rt.TopicID = id.Topic{9}
		}
		for p := range int32(3) {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p, 100+int64(p), 4, kmsg.StringPtr("meta")
			rt.Partitions = append(rt.Partitions, rp)
		}
		rt.Partitions[1].Metadata = kmsg.StringPtr("far too long")
		r.Topics = append(r.Topics, rt)
	}
	return r
}

// Every version of OffsetCommit says per partition what became of it.
func TestOffsetCommitInAllVersions(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		for v := int16(2); v <= 10; v++ {
			r := call(g, v, g.commitRequest("g"), g.offsetCommit)
			unknown := kerr.UnknownTopicOrPartition
			if v >= 10 {
				unknown = kerr.UnknownTopicID
			}
			wants := [][]*kerr.Error{{nil, kerr.OffsetMetadataTooLarge, kerr.UnknownTopicOrPartition}, {unknown, unknown, unknown}}
			for i, codes := range wants {
				for j, want := range codes {
					g.code("partition", r.Topics[i].Partitions[j].ErrorCode, want)
				}
			}
			member := g.commitRequest("new")
			member.Generation, member.MemberID = 5, "m"
			want := kerr.IllegalGeneration
			if v >= 9 {
				want = kerr.GroupIDNotFound
			}
			g.code("no group", call(g, v, member, g.offsetCommit).Topics[0].Partitions[0].ErrorCode, want)
		}
	})
}

// Every version of OffsetFetch reads what was committed; an unknown group has
// offset -1 and no error.
func TestOffsetFetchInAllVersions(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		call(g, 8, g.commitRequest("g"), g.offsetCommit)
		for v := int16(1); v <= 10; v++ {
			for name, want := range map[string]int64{"g": 100, "unknown": -1} {
				r := g.fetch(v, name, false)
				if len(r) != 2 || r[0].offset != want || r[0].code != 0 || r[1].offset != -1 {
					t.Fatalf("v%d of %s: %+v", v, name, r)
				}
				if want == 100 && v >= 5 && r[0].epoch != 4 {
					t.Fatalf("v%d: epoch %d", v, r[0].epoch)
				}
			}
			if v < 2 {
				continue
			}
			if r := g.fetch(v, "g", true); len(r) != 1 || r[0].offset != 100 || r[0].metadata != "meta" {
				t.Fatalf("v%d, all: %+v", v, r)
			}
			if r := g.fetch(v, "unknown", true); len(r) != 0 {
				t.Fatalf("v%d, all of an unknown group: %+v", v, r)
			}
		}
	})
}

type fetchedOffset struct {
	offset   int64
	epoch    int32
	metadata string
	code     int16
}

// fetch asks for two partitions of t, or for all, and flattens the answer.
func (g *groupTest) fetch(version int16, name string, all bool) (out []fetchedOffset) {
	g.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = name, true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = name
	if !all {
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 1}}}
		rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", TopicID: g.topic.ID, Partitions: []int32{0, 1}}}
	}
	req.Groups = []kmsg.OffsetFetchRequestGroup{rg}
	r := call(g, version, req, g.offsetFetch)
	g.code("fetch", r.ErrorCode, nil)
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			out = append(out, fetchedOffset{p.Offset, p.LeaderEpoch, *p.Metadata, p.ErrorCode})
		}
	}
	for _, rg := range r.Groups {
		g.code("fetch of group", rg.ErrorCode, nil)
		for _, t := range rg.Topics {
			if version >= 10 && t.TopicID != g.topic.ID {
				g.Fatalf("topic %v", t.TopicID)
			}
			for _, p := range t.Partitions {
				out = append(out, fetchedOffset{p.Offset, p.LeaderEpoch, *p.Metadata, p.ErrorCode})
			}
		}
	}
	return out
}

// An unknown topic id is an error of its partitions; the others are answered.
func TestOffsetFetchUnknownTopicID(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		req := kmsg.NewPtrOffsetFetchRequest()
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = "g"
		rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{{TopicID: id.Topic{9}, Partitions: []int32{0}}, {TopicID: g.topic.ID, Partitions: []int32{0}}}
		req.Groups = []kmsg.OffsetFetchRequestGroup{rg}
		r := call(g, 10, req, g.offsetFetch).Groups[0]
		g.code("known", r.Topics[0].Partitions[0].ErrorCode, nil)
		g.code("unknown", r.Topics[1].Partitions[0].ErrorCode, kerr.UnknownTopicID)
	})
}

// While the store is away commits and settled fetches end with an error on which
// clients of all ages retry, without looking for another coordinator.
func TestOffsetsWhileStoreIsAway(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		call(g, 8, g.commitRequest("g"), g.offsetCommit)
		g.memory.SetAvailable(false)
		defer g.memory.SetAvailable(true)
		r := call(g, 8, g.commitRequest("g"), g.offsetCommit)
		g.code("commit", r.Topics[0].Partitions[0].ErrorCode, kerr.CoordinatorLoadInProgress)
		for v := int16(7); v <= 8; v++ {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Group, req.RequireStable = "g", true
			rg := kmsg.NewOffsetFetchRequestGroup()
			rg.Group = "g"
			req.Groups = []kmsg.OffsetFetchRequestGroup{rg}
			resp := call(g, v, req, g.offsetFetch)
			code := resp.ErrorCode
			if v >= 8 {
				code = resp.Groups[0].ErrorCode
			}
			g.code("fetch", code, kerr.CoordinatorLoadInProgress)
		}
	})
}

func TestFindCoordinatorInAllVersions(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		for v := int16(0); v <= 6; v++ {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorKeys = "g", []string{"g", "h"}
			r := call(g, v, req, g.findCoordinator)
			if v < 4 && (r.NodeID != 3 || r.Host != "host" || r.Port != 9092 || r.ErrorCode != 0) {
				t.Fatalf("v%d: %+v", v, r)
			}
			if v >= 4 && (len(r.Coordinators) != 2 || r.Coordinators[1].Key != "h" || r.Coordinators[1].NodeID != 3) {
				t.Fatalf("v%d: %+v", v, r)
			}
			for _, kind := range []int8{2, 9} { // 1 is TestTransactionalProducersAreRefusedForGood's
				req.CoordinatorType = kind
				r = call(g, v, req, g.findCoordinator)
				switch {
				case v >= 4:
					g.code("kind", r.Coordinators[0].ErrorCode, kerr.InvalidRequest)
					if r.Coordinators[0].ErrorMessage == nil {
						t.Fatal("no message")
					}
				case v >= 1:
					g.code("kind", r.ErrorCode, kerr.InvalidRequest)
				}
			}
		}
	})
}

// Groups are listed, described, and deleted once they are empty.
func TestListDescribeDelete(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		id, _ := g.member("g", 9, 5)
		call(g, 8, g.commitRequest("simple"), g.offsetCommit)
		for v := int16(0); v <= 6; v++ {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups, req.IncludeAuthorizedOperations = []string{"g", "unknown"}, true
			r := call(g, v, req, g.describeGroups)
			d, u := r.Groups[0], r.Groups[1]
			if d.State != "Stable" || d.Protocol != "range" || len(d.Members) != 1 || d.Members[0].MemberID != id || d.Members[0].ClientHost != "/10.0.0.1" {
				t.Fatalf("v%d: %+v", v, d)
			}
			want := (*kerr.Error)(nil)
			if v >= 6 {
				want = kerr.GroupIDNotFound
			}
			g.code("unknown", u.ErrorCode, want)
			if u.State != "Dead" || v >= 3 && d.AuthorizedOperations != (1<<3|1<<6|1<<8|1<<10|1<<11) {
				t.Fatalf("v%d: %+v %+v", v, u, d)
			}
		}
		for v := int16(0); v <= 5; v++ {
			req := kmsg.NewPtrListGroupsRequest()
			if r := call(g, v, req, g.listGroups); len(r.Groups) != 2 || r.Groups[0].Group != "g" || v >= 5 && r.Groups[0].GroupType != "classic" {
				t.Fatalf("v%d: %+v", v, r)
			}
			req.StatesFilter, req.TypesFilter = []string{"stable"}, []string{"Classic"}
			if r := call(g, v, req, g.listGroups); v >= 4 && (len(r.Groups) != 1 || r.Groups[0].GroupState != "Stable") {
				t.Fatalf("v%d: %+v", v, r)
			}
			req.TypesFilter = []string{"consumer"}
			if r := call(g, v, req, g.listGroups); v >= 5 && len(r.Groups) != 0 {
				t.Fatalf("v%d: %+v", v, r)
			}
		}
		for v := int16(0); v <= 2; v++ {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{"g", "simple", "unknown"}
			r := call(g, v, req, g.deleteGroups)
			g.code("with members", r.Groups[0].ErrorCode, kerr.NonEmptyGroup)
			if v == 0 {
				g.code("empty", r.Groups[1].ErrorCode, nil)
			} else {
				g.code("deleted", r.Groups[1].ErrorCode, kerr.GroupIDNotFound)
			}
			g.code("unknown", r.Groups[2].ErrorCode, kerr.GroupIDNotFound)
		}
	})
}

func TestOffsetDelete(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = "g"
		req.Topics = []kmsg.OffsetDeleteRequestTopic{
			{Topic: "nope", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}},
			{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 5}, {Partition: 0}}}}
		g.code("no group", call(g, 0, req, g.offsetDelete).ErrorCode, kerr.GroupIDNotFound)
		call(g, 8, g.commitRequest("g"), g.offsetCommit)
		r := call(g, 0, req, g.offsetDelete)
		g.code("group", r.ErrorCode, nil)
		g.code("topic", r.Topics[0].Partitions[0].ErrorCode, kerr.UnknownTopicOrPartition)
		g.code("partition", r.Topics[1].Partitions[0].ErrorCode, kerr.UnknownTopicOrPartition)
		g.code("deleted", r.Topics[1].Partitions[1].ErrorCode, nil)
		if f := g.fetch(8, "g", true); len(f) != 0 {
			t.Fatalf("left over: %+v", f)
		}
	})
}

// Every sentinel of the coordinator has a code of its own, but for those of a store that is
// away.
func TestGroupCodes(t *testing.T) {
	seen := map[int16]error{}
	for _, c := range groupCodes[:18] {
		code := groupCode(c.err)
		if other := seen[code]; other != nil {
			t.Errorf("%v and %v are both %v", c.err, other, kerr.ErrorForCode(code))
		}
		seen[code] = c.err
	}
}

// Nobody expects COORDINATOR_LOAD_IN_PROGRESS as the answer to SyncGroup: Java's consumer
// would end with it.
func TestSyncWhileStoreIsAway(t *testing.T) {
	if code := syncCode(coordinator.ErrAway); code != kerr.RebalanceInProgress.Code {
		t.Errorf("code %d", code)
	}
	if code := syncCode(classic.ErrUnknownMember); code != kerr.UnknownMemberID.Code {
		t.Errorf("code %d", code)
	}
}
