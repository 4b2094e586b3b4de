package group

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata/schema"
)

// world drives a group with arbitrary events and checks its laws after each.
type world struct {
	t          *testing.T
	in         []byte
	cfg        Config
	g          *Group
	now        time.Time
	open       map[coordinator.Ticket]string // requests that were not answered
	last       coordinator.Ticket
	ids        []string
	generation int32
	leaders    map[int32]string
	write      *coordinator.Store
	kept       *kept
}

func (w *world) byte() byte {
	if len(w.in) == 0 {
		return 0
	}
	b := w.in[0]
	w.in = w.in[1:]
	return b
}

func (w *world) pick(n int) int { return int(w.byte()) % n }

func (w *world) instance() *string {
	if n := w.pick(4); n < 2 {
		s := string(rune('a' + n))
		return &s
	}
	return nil
}

func (w *world) member() string {
	if n := w.pick(len(w.ids) + 1); n < len(w.ids) {
		return w.ids[n]
	}
	return ""
}

func (w *world) ticket(kind string) coordinator.Ticket {
	w.last++
	w.open[w.last] = kind
	return w.last
}

func (w *world) event() coordinator.Event {
	number, _, _ := w.g.members.Generation()
	gen := number - int32(w.pick(8)/7)
	switch w.pick(12) {
	case 0, 1, 2, 3:
		e := classic.Join{Ticket: w.ticket("join"), MemberID: w.member(), InstanceID: w.instance(), NewID: fmt.Sprint(w.last), ClientID: "c",
			SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Duration(w.pick(3)) * 10 * time.Second,
			ProtocolType: classic.ConsumerProtocol, RequireMemberID: w.pick(2) == 0, CanSkip: w.pick(2) == 0}
		for n := w.pick(3); n >= 0; n-- {
			e.Protocols = append(e.Protocols, classic.Protocol{Name: string(rune('p' + w.pick(3))), Metadata: subscription("t")[:w.pick(12)]})
		}
		return e
	case 4, 5:
		e := classic.Sync{Ticket: w.ticket("sync"), MemberID: w.member(), InstanceID: w.instance(), Generation: gen}
		if w.pick(2) == 0 {
			e.Assignments = map[string][]byte{w.member(): {1}}
		}
		return e
	case 6:
		return classic.Heartbeat{Ticket: w.ticket("heartbeat"), MemberID: w.member(), InstanceID: w.instance(), Generation: gen}
	case 7:
		return classic.Leave{Ticket: w.ticket("leave"), Members: []classic.Leaving{{MemberID: w.member(), InstanceID: w.instance()}, {MemberID: w.member()}}}
	case 8, 9:
		if w.pick(3) == 0 {
			gen = -1
		}
		e := Commit{Ticket: w.ticket("commit"), MemberID: w.member(), InstanceID: w.instance(), Generation: gen, Retention: time.Duration(w.pick(2)) * time.Hour}
		for n := w.pick(3); n >= 0; n-- {
			c := offsets.CommitPartition{Partition: int32(w.pick(4)) * 20}
			c.Offset = int64(w.last)
			e.Topics = append(e.Topics, offsets.CommitTopic{Topic: string(rune('t' + w.pick(3))), Partitions: []offsets.CommitPartition{c}})
		}
		return e
	case 10:
		if w.pick(2) == 0 {
			return Delete{w.ticket("delete")}
		}
		return DeleteOffsets{w.ticket("delete offsets"), []offsets.TopicPartitions{{Topic: string(rune('t' + w.pick(3))), Partitions: []int32{0, int32(w.pick(4)) * 20}}}}
	}
	if w.pick(2) == 0 {
		return TopicsDeleted{map[id.Topic]string{{}: "t"}}
	}
	return Settle{w.ticket("settle")}
}

func (w *world) step(e coordinator.Event) {
	existed := w.g.members.There()
	for _, f := range w.g.Step(w.now, e) {
		switch f := f.(type) {
		case coordinator.Reply:
			w.answered(f)
		case coordinator.Store:
			if w.write != nil {
				w.t.Fatal("two writes under way")
			}
			w.write = &f
		}
	}
	if !existed || !w.g.members.There() {
		w.generation = 0
		clear(w.leaders)
	}
	w.check()
}

func (w *world) answered(r coordinator.Reply) {
	if _, ok := w.open[r.Ticket]; !ok {
		w.t.Fatalf("ticket %d was answered twice, now %+v", r.Ticket, r.Answer)
	}
	delete(w.open, r.Ticket)
	j, ok := r.Answer.(classic.JoinReply)
	if !ok {
		return
	}
	if j.MemberID != "" {
		w.ids = append(w.ids, j.MemberID)
		w.ids = w.ids[max(0, len(w.ids)-8):]
	}
	if j.Err == nil && j.Leader == j.MemberID {
		if old := w.leaders[j.Generation]; old != "" && old != j.MemberID && classic.IsMember(w.g.members, old) {
			w.t.Fatalf("generation %d has leaders %s and %s", j.Generation, old, j.MemberID)
		}
		w.leaders[j.Generation] = j.MemberID
	}
	if j.Err == nil && (j.Protocol == nil || j.Generation < 1) {
		w.t.Fatalf("joined %+v", j)
	}
}

func (w *world) check() {
	g, t := w.g, w.t
	number, _, _ := g.members.Generation()
	if number < w.generation {
		t.Fatalf("generation fell from %d to %d", w.generation, number)
	}
	w.generation = number
	waiting, err := classic.Verify(g.members)
	if err != nil {
		t.Fatal(err)
	}
	for ticket, kind := range w.open {
		if (kind == "join" || kind == "sync") != waiting[ticket] && len(g.record.waits.byID) == 0 {
			t.Fatalf("%s %d is not answered and nothing waits", kind, ticket)
		}
	}
	if g.retention.IsZero() && g.members.There() {
		t.Fatal("offsets never expire")
	}
	if g.Busy() && w.write == nil {
		t.Fatal("changes that nothing writes")
	}
}

// settle ends a write, and compares what the group reports as durable.
func (w *world) settle() {
	f := w.write
	if f == nil {
		return
	}
	w.write = nil
	w.kept.apply(f.Ops)
	w.step(coordinator.Stored{})
	w.compare()
	if len(w.kept.offsets) > 0 && w.kept.record == nil && w.g.members.There() {
		w.t.Fatal("offsets are stored and the group is not")
	}
}

// compare holds what the group reports as durable against what a reader of the store now
// would find, and counts what it takes.
func (w *world) compare() {
	got := offsets.Durable(w.g.offsets)
	want := offsets.Durable(offsets.Load(&w.cfg.Offsets, w.kept.copy()))
	if !reflect.DeepEqual(got, want) {
		w.t.Fatalf("durable is %v, stored was %v", got, want)
	}
	if err := offsets.Verify(w.g.offsets); err != nil {
		w.t.Fatal(err)
	}
}

// again begins anew with what is stored, perhaps as an earlier version stored it.
func (w *world) again() {
	for _, f := range w.g.Step(w.now, coordinator.Resign{Err: coordinator.ErrNotCoordinator}) {
		if r, ok := f.(coordinator.Reply); ok {
			w.answered(r)
		}
	}
	clear(w.open)
	if w.pick(2) == 0 {
		kept := w.kept.offsets
		for _, at := range slices.SortedFunc(maps.Keys(kept), offsets.Shard.Compare) {
			all := offsets.Shard{Topic: at.Topic}
			if at == all || kept[all] == nil {
				continue
			}
			maps.Copy(kept[all], kept[at])
			if w.pick(2) == 0 && len(kept[at]) > 0 {
				delete(kept, at)
				continue
			}
			kept[all][at.N*schema.OffsetsShard+9] = schema.OffsetCommit{Offset: 1} // it was deleted since
		}
	}
	w.write, w.generation = nil, 0
	clear(w.leaders)
	w.g = w.kept.load(&w.cfg)
	w.step(coordinator.Loaded{})
}

func (w *world) run() {
	for len(w.in) > 0 {
		switch w.pick(8) {
		case 0:
			w.now = w.now.Add(time.Duration(w.pick(8)) * time.Second)
			w.step(coordinator.Tick{})
		case 1:
			w.now = w.now.Add(time.Duration(w.pick(256)) * time.Hour)
			w.step(coordinator.Tick{})
		case 2, 3:
			w.settle()
		case 4:
			switch w.pick(8) {
			case 0, 1:
				w.step(coordinator.StoreAway{Away: !w.g.away})
			case 2:
				w.again()
			default:
				w.step(w.event())
			}
		default:
			w.step(w.event())
		}
	}
	w.step(coordinator.Tick{})
	for _, f := range w.g.Step(w.now, coordinator.Resign{Err: coordinator.ErrNotCoordinator}) {
		if r, ok := f.(coordinator.Reply); ok {
			w.answered(r)
		}
	}
}

func newWorld(t *testing.T, in []byte) *world {
	w := &world{t: t, in: in, cfg: DefaultConfig(), now: time.UnixMilli(1e12), open: map[coordinator.Ticket]string{},
		leaders: map[int32]string{}, kept: newKept(t)}
	w.cfg.Members.MaxSize = 3
	w.g = New("g", &w.cfg)
	return w
}

// FuzzGroup feeds arbitrary events.
func FuzzGroup(f *testing.F) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := make([]byte, 2000)
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		w := newWorld(t, in)
		w.run()
		for ticket, kind := range w.open {
			if kind == "join" || kind == "sync" {
				t.Fatalf("%s %d was never answered", kind, ticket)
			}
		}
	})
}
