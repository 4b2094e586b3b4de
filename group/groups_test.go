package group

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// driver is a coordinator over a memory store, in a bubble of fake time.
type driver struct {
	*Groups
	t      *testing.T
	memory *metadata.Memory
	store  *metadata.MemoryStore
	writer *metadata.Writer
	topics names
	cfg    Config
	said   bytes.Buffer // errors in the log
}

func allSlots() map[int]metadata.Guard {
	all := map[int]metadata.Guard{}
	for n := range coordinator.Slots {
		all[n] = metadata.Guard{}
	}
	return all
}

// How the coordinator watches the store, and how long requests wait for it.
const (
	probeEvery      = 500 * time.Millisecond
	probePatience   = time.Second
	confirmPatience = 2 * time.Second
)

// inBubble runs a test with a coordinator that owns all slots.
func inBubble(t *testing.T, f func(*testing.T, *driver)) {
	synctest.Test(t, func(t *testing.T) {
		d := &driver{t: t, memory: metadata.NewMemory(), topics: names{}, cfg: DefaultConfig()}
		d.store = d.memory.Open()
		d.cfg.Members.InitialRebalanceDelay = 0
		d.start()
		defer func() {
			d.stop()
			if err := d.store.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, d)
	})
}

func (d *driver) start() {
	log := slog.New(slog.NewTextHandler(&d.said, &slog.HandlerOptions{Level: slog.LevelError}))
	d.writer = metadata.NewWriter(d.store, metadata.DefaultWriterConfig(), log, nil)
	d.Groups = Open(d.cfg, d.store, d.writer, d.topics, nil, log, nil)
	d.OwnSlots(allSlots())
	synctest.Wait()
}

func (d *driver) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	d.Close(ctx)
	if err := d.writer.Close(ctx); err != nil && ctx.Err() == nil {
		d.t.Error(err)
	}
}

func (d *driver) restart() {
	d.stop()
	d.start()
}

// stable makes a group with one member and returns its id.
func (d *driver) stable(group string) string {
	d.t.Helper()
	j := d.Join(d.t.Context(), group, classic.Join{ClientID: "c", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute,
		ProtocolType: "consumer", Protocols: []classic.Protocol{{Name: "range", Metadata: subscription("t")}}})
	if j.Err != nil {
		d.t.Fatal(j.Err)
	}
	s := d.Sync(d.t.Context(), group, classic.Sync{MemberID: j.MemberID, Generation: j.Generation, Assignments: map[string][]byte{j.MemberID: []byte("x")}})
	if s.Err != nil || string(s.Assignment) != "x" {
		d.t.Fatalf("sync: %+v", s)
	}
	return j.MemberID
}

func commitOf(member string, generation int32, topic string, offset int64) Commit {
	return Commit{MemberID: member, Generation: generation,
		Topics: []offsets.CommitTopic{{Topic: topic, Partitions: []offsets.CommitPartition{{Partition: 0, OffsetCommit: schema.OffsetCommit{Offset: offset, LeaderEpoch: -1}}}}}}
}

func (d *driver) offset(group, topic string) int64 {
	d.t.Helper()
	f, err := d.Fetch(d.t.Context(), group, []offsets.TopicPartitions{{Topic: topic, Partitions: []int32{0}}}, false)
	if err != nil {
		d.t.Fatalf("fetch: %v", err)
	}
	return f[0].Partitions[0].Offset
}

func want(t *testing.T, what string, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) || wanted == nil && err != nil {
		t.Fatalf("%s: %v, want %v", what, err, wanted)
	}
}

// A restarted coordinator goes on with generation, members and offsets.
func TestRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 42)).Err, nil)
		want(t, "commit", d.Commit(t.Context(), "simple", commitOf("", -1, "t", 7)).Err, nil)
		d.restart()
		want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), nil)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "u", 43)).Err, nil)
		if a, b, c := d.offset("g", "t"), d.offset("g", "u"), d.offset("simple", "t"); a != 42 || b != 43 || c != 7 {
			t.Fatalf("offsets %d %d %d", a, b, c)
		}
		l, err := d.List(t.Context())
		want(t, "list", err, nil)
		if !slices.Equal(l, []Listing{{"g", "consumer", classic.Stable}, {"simple", "", classic.Empty}}) {
			t.Fatalf("listed %v", l)
		}
		time.Sleep(11 * time.Second) // fake: the session's time
		want(t, "late heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), classic.ErrUnknownMember)
	})
}

// While the store is away members live on; commits end with a retriable error,
// and what was accepted is stored in order when it is back.
func TestStoreAway(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		d.memory.SetAvailable(false)
		start := time.Now()
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err, coordinator.ErrAway)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 2)).Err, coordinator.ErrAway)
		for range 100 { // heartbeats may be queued behind all of them
			want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 2)).Err, coordinator.ErrAway)
		}
		if waited := time.Since(start); waited > probeEvery+probePatience {
			t.Fatalf("waited %v", waited)
		}
		for range 10 {
			time.Sleep(4 * time.Second)
			want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), nil)
		}
		if n := d.offset("g", "t"); n != -1 {
			t.Fatalf("offset %d is shown and not durable", n)
		}
		start = time.Now()
		_, err := d.Fetch(t.Context(), "g", nil, true)
		want(t, "fetch of settled offsets", err, coordinator.ErrAway)
		want(t, "delete offsets", d.DeleteOffsets(t.Context(), "g", []offsets.TopicPartitions{{Topic: "other", Partitions: []int32{0}}}).Err, coordinator.ErrAway)
		want(t, "delete", d.Delete(t.Context(), "g"), coordinator.ErrAway)
		join := classic.Join{ClientID: "c", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute, ProtocolType: "consumer", Protocols: []classic.Protocol{{Name: "range", Metadata: subscription("t")}}}
		want(t, "join", d.Join(t.Context(), "g", join).Err, coordinator.ErrAway)
		want(t, "join of another group", d.Join(t.Context(), "h", join).Err, coordinator.ErrAway)
		if waited := time.Since(start); waited > time.Second {
			t.Fatalf("waited %v", waited)
		}
		d.memory.SetAvailable(true)
		time.Sleep(probeEvery + time.Second)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "u", 3)).Err, nil)
		if a, b := d.offset("g", "t"), d.offset("g", "u"); a != 2 || b != 3 {
			t.Fatalf("offsets %d %d", a, b)
		}
	})
}

// A commit whose answer got lost is there once.
func TestLostReply(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		for n := range int64(5) {
			d.memory.LoseReplies(1)
			want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", n)).Err, nil)
			if got := d.offset("g", "t"); got != n {
				t.Fatalf("offset %d, want %d", got, n)
			}
		}
	})
}

// What another coordinator wrote is not overwritten: the group is read anew.
func TestConflict(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err, nil)
		key := schema.OffsetsKey("g", "t")
		other := schema.Offsets{0: {Offset: 99, LeaderEpoch: -1, Committed: time.Now()}}
		_, err := d.store.Txn(t.Context(), nil, metadata.Put(key, other.Encode()))
		want(t, "foreign write", err, nil)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 2)).Err, coordinator.ErrNotCoordinator)
		if n := d.offset("g", "t"); n != 99 {
			t.Fatalf("offset %d", n)
		}
		want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), nil)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 3)).Err, nil)
	})
}

// Groups without members leave memory, come back when asked for, and go for
// good when their offsets expire.
func TestUnloadAndExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 5)).Err, nil)
		loaded := func() bool {
			in, err := coordinator.Survey(t.Context(), d.driver, func(group string, m coordinator.Machine, _ any) (string, bool) {
				return group, group == "g" && m != nil
			})
			want(t, "look", err, nil)
			return len(in) > 0
		}
		if !loaded() {
			t.Fatal("not in memory")
		}
		time.Sleep(d.cfg.UnloadAfter + time.Second)
		if loaded() {
			t.Fatal("still in memory")
		}
		if l, _ := d.List(t.Context()); len(l) != 1 || l[0].State != classic.Empty {
			t.Fatalf("listed %v", l)
		}
		if n := d.offset("g", "t"); n != 5 || !loaded() {
			t.Fatalf("offset %d", n)
		}
		time.Sleep(d.cfg.Offsets.OffsetsRetention + d.cfg.RetentionCheck)
		if l, _ := d.List(t.Context()); len(l) != 0 {
			t.Fatalf("listed %v", l)
		}
		if kvs, _, _ := d.store.List(t.Context(), ""); len(kvs) != 0 {
			t.Fatalf("left over: %v", kvs)
		}
	})
}

// A restart before the time is over doesn't make offsets live longer.
func TestExpiryAfterRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 5)).Err, nil)
		want(t, "leave", d.Leave(t.Context(), "g", classic.Leave{Members: []classic.Leaving{{MemberID: id}}}).Members[0], nil)
		time.Sleep(d.cfg.Offsets.OffsetsRetention - time.Hour)
		d.restart()
		time.Sleep(time.Hour + time.Minute)
		if kvs, _, _ := d.store.List(t.Context(), ""); len(kvs) != 0 {
			t.Fatalf("left over: %v", kvs)
		}
	})
}

// coordinator.Slots that are not owned, or not read yet, answer so; a slot that is given up
// stores what it accepted and answers what waits.
func TestSlots(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		n := coordinator.SlotOf("g")
		joined := make(chan classic.JoinReply)
		go func() {
			joined <- d.Join(t.Context(), "g", classic.Join{ClientID: "c", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute,
				ProtocolType: "consumer", Protocols: []classic.Protocol{{Name: "range", Metadata: subscription("t")}}})
		}()
		synctest.Wait()
		d.ReleaseSlot(t.Context(), n)
		want(t, "waiting join", (<-joined).Err, coordinator.ErrNotCoordinator)
		want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), coordinator.ErrNotCoordinator)
		if l, err := d.List(t.Context()); len(l) != 0 || err != nil {
			t.Fatalf("listed %v, %v", l, err)
		}
		d.memory.SetAvailable(false)
		d.OwnSlots(map[int]metadata.Guard{n: {}})
		want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), nil)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err, coordinator.ErrLoading)
		_, err := d.List(t.Context())
		want(t, "list", err, coordinator.ErrLoading)
		d.memory.SetAvailable(true)
		time.Sleep(3 * time.Second)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err, nil)
	})
}

// A stop while the store is away ends, and answers everybody.
func TestCloseWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		id := d.stable("g")
		d.memory.SetAvailable(false)
		answer := make(chan error)
		go func() { answer <- d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err }()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() {
			d.stop()
			close(stopped)
		}()
		if err := <-answer; !errors.Is(err, coordinator.ErrUnavailable) && !errors.Is(err, coordinator.ErrNotCoordinator) {
			t.Fatalf("commit: %v", err)
		}
		<-stopped
		d.memory.SetAvailable(true)
		d.start()
		want(t, "heartbeat", d.Heartbeat(t.Context(), "g", classic.Heartbeat{MemberID: id, Generation: 1}), nil)
	})
}

// A deleted topic's offsets go, also those of groups that are not in memory; not those
// of the next topic of its name.
func TestTopicsDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		d.topics["t"], d.topics["u"] = id.Topic{1}, id.Topic{2}
		for _, g := range []string{"a", "b", "c"} {
			want(t, "commit", d.Commit(t.Context(), g, d.commitFor("t", 0, 5)).Err, nil)
			want(t, "commit", d.Commit(t.Context(), g, d.commitFor("t", 1, 5)).Err, nil)
			want(t, "commit", d.Commit(t.Context(), g, d.commitFor("u", 0, 6)).Err, nil)
		}
		time.Sleep(d.cfg.UnloadAfter + time.Minute)
		if n := d.offset("a", "t"); n != 5 {
			t.Fatalf("offset %d", n)
		}
		d.topics["t"] = id.Topic{3}
		want(t, "commit", d.Commit(t.Context(), "b", d.commitFor("t", 1, 7)).Err, nil)
		want(t, "topic deleted", d.TopicsDeleted(t.Context(), map[id.Topic]string{{1}: "t"}), nil)
		synctest.Wait()
		for _, g := range []string{"a", "b", "c"} {
			kv, err := d.store.Get(t.Context(), schema.OffsetsKey(g, "t"))
			if g != "b" {
				want(t, "offsets of the deleted topic", err, metadata.ErrNotFound)
			} else if o, _ := schema.DecodeOffsets(kv.Value); len(o) != 1 || o[1].Offset != 7 {
				t.Fatalf("%s: %+v, %v", g, o, err)
			}
			if y := d.offset(g, "u"); y != 6 {
				t.Fatalf("%s: offset %d", g, y)
			}
		}
	})
}

// commitFor commits for the topic that bears the name now.
func (d *driver) commitFor(topic string, partition int32, offset int64) Commit {
	return Commit{Generation: -1, Topics: []offsets.CommitTopic{{Topic: topic, Partitions: []offsets.CommitPartition{{Partition: partition,
		OffsetCommit: schema.OffsetCommit{Offset: offset, LeaderEpoch: -1, Topic: d.topics[topic]}}}}}}
}

// What was committed for a topic is never an offset of another that has its name now,
// even if nothing was there to forget it; what isn't known isn't described.
func TestOffsetsOfAnEarlierTopic(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		both := []offsets.TopicPartitions{{Topic: "t", Partitions: []int32{0, 1}}}
		d.topics["t"] = id.Topic{1}
		for p := range int32(2) {
			want(t, "commit", d.Commit(t.Context(), "g", d.commitFor("t", p, 5)).Err, nil)
		}
		d.topics["t"] = id.Topic{2}
		d.restart()
		want(t, "commit", d.Commit(t.Context(), "g", d.commitFor("t", 1, 7)).Err, nil)
		f, err := d.Fetch(t.Context(), "g", both, false)
		if err != nil || f[0].Partitions[0] != offsets.None(0) || f[0].Partitions[1].Offset != 7 {
			t.Fatalf("offsets %+v, %v", f, err)
		}
		if f, err = d.Fetch(t.Context(), "g", nil, false); err != nil || len(f) != 1 || len(f[0].Partitions) != 1 {
			t.Fatalf("all offsets: %+v, %v", f, err)
		}
		d.topics["t"] = id.Topic{3}
		if f, err = d.Fetch(t.Context(), "g", nil, false); err != nil || len(f) != 0 {
			t.Fatalf("all offsets: %+v, %v", f, err)
		}
		delete(d.topics, "t")
		_, err = d.Fetch(t.Context(), "g", both, false)
		want(t, "fetch when topics can't be told", err, errUntold)
	})
}

// names maps names to topics; it knows no others.
type names map[string]id.Topic

var errUntold = errors.New("not told")

func (n names) IsTopic(_ context.Context, name string, t id.Topic) (bool, error) {
	now, ok := n[name]
	if !ok {
		return false, errUntold
	}
	return now == t, nil
}

// Groups of many topics take several writes; deleting one takes all of them.
func TestManyTopics(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		e := Commit{Generation: -1}
		for n := range 300 {
			e.Topics = append(e.Topics, commitOf("", -1, string(rune('A'+n)), int64(n)).Topics...)
		}
		want(t, "commit", d.Commit(t.Context(), "g", e).Err, nil)
		d.restart()
		f, err := d.Fetch(t.Context(), "g", nil, true)
		if err != nil || len(f) != 300 {
			t.Fatalf("%d topics, %v", len(f), err)
		}
		want(t, "delete", d.Delete(t.Context(), "g"), nil)
		want(t, "delete", d.Delete(t.Context(), "g"), ErrGroupNotFound)
		if kvs, _, _ := d.store.List(t.Context(), ""); len(kvs) != 0 {
			t.Fatalf("%d keys left", len(kvs))
		}
		desc, err := d.Describe(t.Context(), "g")
		if err != nil || desc.State != classic.Dead {
			t.Fatalf("described %+v, %v", desc, err)
		}
	})
}

// A record that can't be decoded costs its group alone.
func TestCorruptRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		want(t, "commit", d.Commit(t.Context(), "good", commitOf("", -1, "t", 5)).Err, nil)
		_, err := d.store.Txn(t.Context(), nil, metadata.Put(schema.GroupKey("bad"), []byte{77}))
		want(t, "write", err, nil)
		d.restart()
		want(t, "commit", d.Commit(t.Context(), "bad", commitOf("", -1, "t", 5)).Err, coordinator.ErrLoading)
		if n := d.offset("good", "t"); n != 5 {
			t.Fatalf("offset %d", n)
		}
	})
}

// A group whose deletion can't be stored for long costs nothing meanwhile, and
// goes when the store is back.
func TestDeleteWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 5)).Err, nil)
		d.memory.SetAvailable(false)
		want(t, "delete", d.Delete(t.Context(), "g"), coordinator.ErrAway)
		time.Sleep(d.cfg.UnloadAfter + d.cfg.RetentionCheck + time.Hour)
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 6)).Err, coordinator.ErrAway)
		d.memory.SetAvailable(true)
		time.Sleep(time.Minute)
		if kvs, _, _ := d.store.List(t.Context(), ""); len(kvs) != 0 {
			t.Fatalf("left over: %v", kvs)
		}
		want(t, "commit", d.Commit(t.Context(), "g", commitOf("", -1, "t", 7)).Err, nil)
	})
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Members.MinSessionTimeout = c.Members.MaxSessionTimeout + 1
	if err := c.Validate(); err == nil {
		t.Fatal("bounds that are crossed are accepted")
	}
}

// What members bring along is bounded: of a group by what can be stored at all, of all
// groups by a budget, which doesn't touch small ones.
func TestMembersBytesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		join := func(group string, bytes int) classic.JoinReply {
			return d.Join(t.Context(), group, classic.Join{ClientID: "c", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Second,
				ProtocolType: "consumer", Protocols: []classic.Protocol{{Name: "range", Metadata: metadataOf[:bytes]}}})
		}
		for range 3 {
			want(t, "a group that can't be stored", join("g", len(metadataOf)).Err, classic.ErrRecordTooLarge)
		}
		if n := strings.Count(d.said.String(), "let it have fewer members"); n != 1 {
			t.Errorf("it is said %d times what to do:\n%s", n, &d.said)
		}
		want(t, "a large group", join("g", 2*maxRecordBytes).Err, nil)
		want(t, "a second such member", join("g", 2*maxRecordBytes).Err, classic.ErrRecordTooLarge)
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			err = join("many-"+string(rune('A'+n)), 3*maxRecordBytes).Err
		}
		want(t, "one group too many", err, coordinator.ErrUnavailable)
		if n < 80 {
			t.Errorf("no room for %d groups", n)
		}
		want(t, "a small one", join("small", 8<<10).Err, nil)
		time.Sleep(time.Minute) // sessions end
		want(t, "the next", join("next", 3*maxRecordBytes).Err, nil)
		time.Sleep(time.Minute)
		if n := d.driver.Size(); n != 0 {
			t.Errorf("%d bytes are counted without members", n)
		}
	})
}

// Small joins find room when large ones don't, but no more than as much again.
func TestSmallMembersAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		d.cfg.MembersBytes = 1 << 20
		d.restart()
		join := func(n, bytes int) error {
			return d.Join(t.Context(), fmt.Sprint("g", n), classic.Join{ClientID: "c", SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Second,
				ProtocolType: "consumer", Protocols: []classic.Protocol{{Name: "range", Metadata: metadataOf[:bytes]}}}).Err
		}
		n, small := 0, 0
		for ; n < 1000 && join(n, 64<<10) == nil; n++ {
		}
		for ; small < 1000 && join(n+small, 8<<10) == nil; small++ {
		}
		if size := d.driver.Size(); n == 0 || small == 0 || size < d.cfg.MembersBytes || size > 2*d.cfg.MembersBytes {
			t.Errorf("%d large members and %d small ones have %d bytes", n, small, size)
		}
	})
}

// What is allowed of one record, and of what one group's members bring along; see classic.
const (
	maxRecordBytes  = 1 << 20
	maxMembersBytes = 4 * maxRecordBytes
)

var metadataOf = make([]byte, maxMembersBytes)
