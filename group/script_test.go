package group

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"varve/coordinator"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/internal/id"
	"varve/metadata/schema"
)

var rewrite = flag.Bool("rewrite", false, "write the scenarios' outputs anew")

// TestScenarios runs testdata/*.txt: lines of commands, each followed by the
// lines of effects that it must have, indented. Regenerate with -rewrite and
// review the difference.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).run(string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s: effects differ; run with -rewrite and look at the difference. Got:\n%s", file, got)
			}
		})
	}
}

// script runs one scenario. Tickets are the numbers of the requests; time is in
// milliseconds since its beginning. Ids are written as they are, and the random
// part of a new one is uN.
type script struct {
	t      *testing.T
	cfg    Config
	g      *Group
	now    time.Time
	start  time.Time
	ticket coordinator.Ticket
	ids    int
	auto   bool // writes are answered at once
	kept   *kept
	write  *coordinator.Store
	out    strings.Builder
}

func newScript(t *testing.T) *script {
	s := &script{t: t, cfg: DefaultConfig(), start: time.UnixMilli(1_000_000), auto: true, kept: newKept(t)}
	s.now = s.start
	s.g = New("g", &s.cfg)
	return s
}

func (s *script) run(text string) string {
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue // output of an earlier run
		}
		s.out.WriteString(line + "\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			s.command(line)
		}
	}
	return s.out.String()
}

// args are a command's words of the form key=value.
type args map[string]string

func (a args) dur(key string, ms int) time.Duration {
	if v, ok := a[key]; ok {
		n, err := strconv.Atoi(v)
		if err != nil {
			panic(err)
		}
		ms = n
	}
	return time.Duration(ms) * time.Millisecond
}

func (a args) num(key string, n int) int32 { return int32(a.dur(key, n) / time.Millisecond) }

func (a args) opt(key string) *string {
	if v, ok := a[key]; ok {
		return &v
	}
	return nil
}

func (s *script) command(line string) {
	words := strings.Fields(line)
	a := args{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		a[k] = v
	}
	switch words[0] {
	case "config":
		s.config(a)
	case "store": // on or off
		_, s.auto = a["on"]
		if s.auto && s.write != nil {
			s.settle()
		}
	case "old": // the store as an earlier version would have left it: one value for a topic
		s.kept.age(offsets.Shard{Topic: a["topic"]})
	case "away": // on or off: whether the store is known to be
		_, on := a["on"]
		s.step(coordinator.StoreAway{Away: on})
	case "wait":
		s.wait(a.dur("ms", 0))
	case "restart":
		s.g = s.kept.load(&s.cfg)
		s.write = nil
		s.step(coordinator.Loaded{})
	case "state":
		s.state()
	case "offset":
		f := s.g.fetch([]offsets.TopicPartitions{{Topic: a["topic"], Partitions: []int32{a.num("p", 0)}}})[0].Partitions[0]
		s.printf("offset %d epoch %d %q", f.Offset, f.LeaderEpoch, f.Metadata)
	case "resign":
		s.step(coordinator.Resign{Err: coordinator.ErrNotCoordinator})
	case "topic-deleted":
		s.step(TopicsDeleted{map[id.Topic]string{{}: a["topic"]}})
	default:
		s.ticket++
		s.step(s.event(words[0], a))
	}
}

func (s *script) config(a args) {
	s.cfg.Members.InitialRebalanceDelay = a.dur("delay", int(s.cfg.Members.InitialRebalanceDelay.Milliseconds()))
	s.cfg.Offsets.OffsetsRetention = a.dur("retention", int(s.cfg.Offsets.OffsetsRetention.Milliseconds()))
	s.cfg.Members.MaxSize = int(a.num("size", s.cfg.Members.MaxSize))
	s.cfg.Offsets.OffsetMetadataMaxBytes = int(a.num("metadata", s.cfg.Offsets.OffsetMetadataMaxBytes))
}

// event makes the request that a line asks for.
func (s *script) event(verb string, a args) coordinator.Event {
	t := s.ticket
	switch verb {
	case "join":
		s.ids++
		e := classic.Join{Ticket: t, MemberID: a["member"], InstanceID: a.opt("instance"), NewID: fmt.Sprintf("u%d", s.ids),
			ClientID: "c", ClientHost: "/h", SessionTimeout: a.dur("session", 10000), RebalanceTimeout: a.dur("rebalance", 60000),
			ProtocolType: "consumer", CanSkip: true, RequireMemberID: true, Reason: a["reason"]}
		if v, ok := a["type"]; ok {
			e.ProtocolType = v
		}
		if _, old := a["old"]; old {
			e.CanSkip, e.RequireMemberID = false, false
		}
		protocols, topics := "range", "t"
		if v, ok := a["protocols"]; ok {
			protocols = v
		}
		if v, ok := a["topics"]; ok {
			topics = v
		}
		for _, p := range strings.Split(protocols, ",") {
			if p != "" {
				e.Protocols = append(e.Protocols, classic.Protocol{Name: p, Metadata: subscription(strings.Split(topics, ",")...)})
			}
		}
		return e
	case "sync":
		e := classic.Sync{Ticket: t, MemberID: a["member"], InstanceID: a.opt("instance"), Generation: a.num("gen", 1),
			Protocol: a.opt("protocol"), ProtocolType: a.opt("type")}
		if v, ok := a["assign"]; ok {
			e.Assignments = map[string][]byte{}
			for _, w := range strings.Split(v, ",") {
				m, b, _ := strings.Cut(w, ":")
				e.Assignments[m] = []byte(b)
			}
		}
		return e
	case "heartbeat":
		return classic.Heartbeat{Ticket: t, MemberID: a["member"], InstanceID: a.opt("instance"), Generation: a.num("gen", 1)}
	case "leave":
		e := classic.Leave{Ticket: t}
		for _, m := range strings.Split(a["members"], ",") {
			if m != "" {
				e.Members = append(e.Members, classic.Leaving{MemberID: m, InstanceID: a.opt("of"), Reason: a["reason"]})
			}
		}
		if v := a.opt("instance"); v != nil {
			e.Members = append(e.Members, classic.Leaving{InstanceID: v})
		}
		return e
	case "commit":
		_, newer := a["new"]
		return Commit{Ticket: t, MemberID: a["member"], InstanceID: a.opt("instance"), Generation: a.num("gen", -1),
			Retention: a.dur("retention", 0), NewErrors: newer, Topics: []offsets.CommitTopic{{Topic: a["topic"], Partitions: []offsets.CommitPartition{
				{Partition: a.num("p", 0), OffsetCommit: schema.OffsetCommit{Offset: int64(a.num("offset", 0)), LeaderEpoch: id.Epoch(a.num("epoch", -1)), Metadata: a["meta"]}}}}}}
	case "delete-offsets":
		return DeleteOffsets{t, []offsets.TopicPartitions{{Topic: a["topic"], Partitions: []int32{a.num("p", 0)}}}}
	case "delete":
		return Delete{t}
	case "settle":
		return Settle{t}
	}
	s.t.Fatalf("unknown command %q", verb)
	return nil
}

// subscription is a version 0 ConsumerProtocolSubscription.
func subscription(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(b, 0, byte(len(t)))
		b = append(b, t...)
	}
	return append(b, 0, 0, 0, 0)
}

func (s *script) step(e coordinator.Event) {
	for _, f := range s.g.Step(s.now, e) {
		s.effect(f)
	}
	if s.auto && s.write != nil {
		s.settle()
	}
}

// settle answers the write under way.
func (s *script) settle() {
	w := s.write
	s.write = nil
	if w == nil {
		s.printf("nothing is being written")
		return
	}
	s.kept.apply(w.Ops)
	s.step(coordinator.Stored{})
}

// wait lets time pass, waking the group when it asks.
func (s *script) wait(d time.Duration) {
	end := s.now.Add(d)
	for {
		wake := s.g.Wake()
		if wake.IsZero() || wake.After(end) {
			break
		}
		if wake.After(s.now) {
			s.now = wake
		}
		s.step(coordinator.Tick{})
	}
	s.now = end
}

func (s *script) state() {
	d := s.g.members.Describe()
	generation, protocol, leader := s.g.members.Generation()
	s.printf("%v generation %d type %q protocol %q leader %q", d.State, generation, d.ProtocolType, protocol, leader)
	for _, m := range d.Members {
		s.printf("member %s%s assignment %q", m.ID, instance(m.InstanceID), m.Assignment)
	}
	for _, t := range s.g.fetch(nil) {
		for _, p := range t.Partitions {
			s.printf("offset %s/%d %d", t.Topic, p.Partition, p.Offset)
		}
	}
}

func instance(i *string) string {
	if i == nil {
		return ""
	}
	return " instance " + *i
}

func (s *script) printf(format string, a ...any) {
	fmt.Fprintf(&s.out, "  %6d ", s.now.Sub(s.start).Milliseconds())
	fmt.Fprintf(&s.out, format+"\n", a...)
}

func show(p *string) string {
	if p == nil {
		return "nil"
	}
	return *p
}

func (s *script) effect(f coordinator.Effect) {
	switch f := f.(type) {
	case coordinator.Reply:
		s.printf("reply %d: %s", f.Ticket, answer(f.Answer))
	case coordinator.Note:
		s.printf("note: %s", f.Text)
	case coordinator.Count:
		s.printf("count: %d %v", f.N, f.What)
	case coordinator.Store:
		if s.write != nil {
			s.t.Fatal("a second write while one is under way")
		}
		s.write = &f
		s.printf("write:%s", s.kept.show(f.Ops))
	}
}

func answer(a any) string {
	switch r := a.(type) {
	case classic.JoinReply:
		if r.Err != nil {
			return fmt.Sprintf("join %q: %v", r.MemberID, r.Err)
		}
		var members []string
		for _, m := range r.Members {
			members = append(members, m.MemberID+instance(m.InstanceID))
		}
		return fmt.Sprintf("joined as %s, generation %d, %s %s, leader %s, skip %v, members [%s]", r.MemberID, r.Generation,
			show(r.ProtocolType), show(r.Protocol), r.Leader, r.SkipAssignment, strings.Join(members, ", "))
	case classic.SyncReply:
		if r.Err != nil {
			return fmt.Sprintf("sync: %v", r.Err)
		}
		return fmt.Sprintf("synced, %s %s, assignment %q", show(r.ProtocolType), show(r.Protocol), r.Assignment)
	}
	_, name, _ := strings.Cut(fmt.Sprintf("%T", a), ".")
	return fmt.Sprintf("group.%s %v", name, a)
}
