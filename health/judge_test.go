package health

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"varve/internal/id"
)

func store(n byte) id.Store { return id.Store{n} }

// three is a cluster of three agents in which all is well: agent n has store n, writes
// journal n-1, and all three keep it.
func three() *Snapshot {
	s := &Snapshot{Now: time.Unix(1000, 0), Cluster: "c", AskedAgent: 1, Factor: 3, Partitions: 12, MaxAge: 30 * time.Second, Stores: map[id.Store]StoreAt{}}
	all := []id.Store{store(1), store(2), store(3)}
	for n := byte(1); n <= 3; n++ {
		host := fmt.Sprintf("host-%d:9645", n)
		s.Stores[store(n)] = StoreAt{Broker: id.Broker(n), Host: host, Live: true}
		j := id.Journal{Writer: id.Incarnation(n), Seq: 1}
		r := &Report{Broker: int32(n), Incarnation: uint64(n), Disk: Disk{FreeBytes: 50e9, TotalBytes: 100e9}, Journals: map[string][]MemberLag{}}
		for _, m := range all {
			r.Journals[j.String()] = append(r.Journals[j.String()], MemberLag{Store: m.String(), Own: m == store(n), Connected: true})
		}
		s.Agents = append(s.Agents, Agent{Broker: id.Broker(n), Host: host, Live: true, Store: store(n), Report: r})
		s.Journals = append(s.Journals, Journal{ID: j, Broker: id.Broker(n), State: Open, Quorum: 2, Ensemble: all})
	}
	return s
}

// kill is the death of agent n, whose journal was recovered since.
func (s *Snapshot) kill(n byte) {
	a := &s.Agents[n-1]
	a.Live, a.Report = false, nil
	at := s.Stores[store(n)]
	at.Live = false
	s.Stores[store(n)] = at
	s.Journals[n-1].State = Sealed
	for i := range s.Agents {
		if r := s.Agents[i].Report; r != nil {
			for _, members := range r.Journals {
				members[n-1].Connected = false
			}
		}
	}
}

// wiped is the return of agent n with another store.
func (s *Snapshot) wiped(n byte) {
	at := s.Stores[store(n)]
	at.Live, at.Gone = false, true
	s.Stores[store(n)] = at
	s.Agents[n-1].Store = store(n + 10)
	s.Stores[store(n+10)] = StoreAt{Broker: id.Broker(n), Host: at.Host, Live: true}
	s.Agents[n-1].Report.Incarnation = uint64(n + 10)
}

func ms(n int64) *int64 { return &n }

// TestJudge: each state of a cluster has its level, is named with the host that it is
// about, and comes with what to do.
func TestJudge(t *testing.T) {
	const noStop = "not now"
	for name, x := range map[string]struct {
		change  func(s *Snapshot)
		level   Level
		mayStop bool
		says    []string // each in a line that isn't healthy
	}{
		"well": {func(*Snapshot) {}, Healthy, true, nil},
		"dead": {func(s *Snapshot) { s.kill(2) }, Degraded, false, []string{
			"agent 2 (host-2:9645) is gone", "varve cluster forget 2", "journal 1-1 of agent 1 (host-1:9645) has 2 of 3 members, without agent 2 (host-2:9645): not alive", noStop}},
		"stopped": {func(s *Snapshot) { s.kill(2); s.Agents[1].Stopped = true }, Degraded, false, []string{"agent 2 (host-2:9645) was stopped"}},
		"left for good": {func(s *Snapshot) {
			s.kill(2)
			s.Agents[1].Stopped, s.Agents[1].Drained = true, true
		}, Degraded, false, []string{"2 of 2 agents alive; replication.factor 3 wants 3"}},
		"dead just now": {func(s *Snapshot) { s.kill(2); s.Journals[1].State, s.Leaderless = Dead, 4 }, Unavailable, false, []string{
			"4 of 12 have no leader", "journal 2-1 of agent 2 (host-2:9645) waits to be recovered", "varve cluster accept-loss 2-1"}},
		"disk lost": {func(s *Snapshot) { s.wiped(2); s.Journals[1].State = Sealed }, Degraded, false, []string{
			"has 2 of 3 members, without agent 2 (host-2:9645): its disk is gone", noStop}},
		"no quorum": {func(s *Snapshot) { s.kill(2); s.kill(3) }, Unavailable, false, []string{"has 1 of 3 members", "takes no records with fewer than 2"}},
		"not connected yet": {func(s *Snapshot) { s.Agents[0].Report.Journals["1-1"][2].Connected = false }, Degraded, false, []string{
			"journal 1-1 of agent 1 (host-1:9645) has 2 of 3 members, without agent 3 (host-3:9645): not connected yet", noStop}},
		"behind": {func(s *Snapshot) {
			m := &s.Agents[0].Report.Journals["1-1"][2]
			m.Behind, m.LagBytes = true, 7e6
		}, Degraded, false, []string{"agent 3 (host-3:9645): 7.0 MB behind"}},
		"refused": {func(s *Snapshot) {
			m := &s.Agents[0].Report.Journals["1-1"][2]
			m.Connected, m.Error = false, "store "+store(3).String()+" at h: disk full"
		}, Degraded, false, []string{"agent 3 (host-3:9645): not connected, disk full"}},
		"one copy": {func(s *Snapshot) {
			s.Journals = append(s.Journals, Journal{ID: id.Journal{Writer: 9, Seq: 1}, Broker: 9, State: Sealed, Quorum: 1, End: 5, Ensemble: []id.Store{store(1)}})
		}, Degraded, false, []string{"journal 9-1 of agent 9 would be left with 0 of the 1 members"}},
		"sealed and empty": {func(s *Snapshot) {
			s.Journals = append(s.Journals, Journal{ID: id.Journal{Writer: 9, Seq: 1}, Broker: 9, State: Sealed, Quorum: 1, Ensemble: []id.Store{store(1)}})
		}, Healthy, true, nil},
		"left behind": {func(s *Snapshot) { // agent 1 moved on to another journal before agent 3 had all of this one
			s.Journals = append(s.Journals, Journal{ID: id.Journal{Writer: 1, Seq: 0}, Broker: 1, State: Sealed, Quorum: 2, End: 5, Ensemble: []id.Store{store(1), store(3)}})
			s.Agents[0].Report.Journals["1-0"] = []MemberLag{{Store: store(1).String(), Own: true, Durable: 5}, {Store: store(3).String(), Durable: 4}}
		}, Degraded, false, []string{"journal 1-0 of agent 1 (host-1:9645) would be left with 0 of the 1"}},
		"hung":      {func(s *Snapshot) { s.Agents[1].Report, s.Agents[1].Problem = nil, "no answer within 1s" }, Degraded, false, []string{"agent 2 (host-2:9645) has a session but does not answer: no answer within 1s", "1 agent did not say"}[:1]},
		"starting":  {func(s *Snapshot) { s.Agents[2].Report = &Report{Starting: "it waits for others"} }, Degraded, false, []string{"agent 3 (host-3:9645) is starting: it waits for others"}},
		"not ready": {func(s *Snapshot) { s.Agents[2].Report.NotReady = []string{"no", "way"} }, Degraded, false, []string{"agent 3 (host-3:9645) is not ready: no; way", "not now: agent 3 (host-3:9645) is not ready: no"}},
		"stopping": {func(s *Snapshot) { s.Agents[2].Leaving, s.Agents[2].Leads = true, 4 }, Degraded, false, []string{
			"agent 3 (host-3:9645) is stopping", "4 of 12 are led by agent 3 (host-3:9645), which is stopping", "not now: agent 3 (host-3:9645) is stopping"}},
		"hung leader": {func(s *Snapshot) {
			s.Agents[1].Report, s.Agents[1].Problem, s.Agents[1].Leads = nil, "no answer within 1s", 4
		}, Unavailable, false, []string{"4 of 12 are led by agent 2 (host-2:9645), which does not answer", "4 of 12 have no leader that serves them", "not now: agent 2 (host-2:9645) does not answer"}},
		"risk unknown": {func(s *Snapshot) { s.kill(2); s.Journals[1].State, s.Journals[1].Tiered = Dead, time.Unix(900, 0) }, Unavailable, false, []string{
			"data at risk: unknown: what journal 2-1 has that the bucket lacks", "written after 1970-01-01 00:15:00"}},
		"opening": {func(s *Snapshot) { s.Agents[2].Report.Opening = 2 }, Degraded, true, []string{"2 of 12 are being opened by agent 3 (host-3:9645)"}},
		"unserved": {func(s *Snapshot) {
			s.Agents[2].Report.Unserved = []Reason{{"t/3", "store " + store(2).String() + " is away"}}
		}, Unavailable, true, []string{"1 of 12 have no leader", "partition t/3 of agent 3 (host-3:9645) can't be served: the store of agent 2 (host-2:9645) is away"}},
		"bucket": {func(s *Snapshot) {
			s.Agents[2].Report.Bucket = Place{"b", "refused", time.Unix(900, 0)}
		}, Degraded, false, []string{"does not answer agent 3 (host-3:9645) since 1970-01-01 00:15:00: refused", "could not be uploaded"}},
		"etcd":    {func(s *Snapshot) { s.Agents[2].Report.Etcd = Place{"etcd", "away", time.Unix(900, 0)} }, Degraded, false, []string{"does not answer agent 3 (host-3:9645)", "no failover", "not now: etcd does not answer agent 3"}},
		"full":    {func(s *Snapshot) { s.Agents[1].Report.Disk.Full = "disk full: 5 MB free" }, Unavailable, true, []string{"agent 2 (host-2:9645): disk full: 5 MB free"}},
		"low":     {func(s *Snapshot) { s.Agents[1].Report.Disk.Low = true }, Degraded, true, []string{"agent 2 (host-2:9645) has 50.0 GB free of 100.0 GB"}},
		"journal": {func(s *Snapshot) { s.Agents[1].Report.JournalPressure = 1 }, Unavailable, true, []string{"the journal of agent 2 (host-2:9645) is full"}},
		"clock ahead": {func(s *Snapshot) { s.Agents[1].Report.Clocks = Clocks{EtcdMs: ms(-7_200_000)} }, Degraded, true, []string{
			"agent 2 (host-2:9645): this agent's clock is 2h0m0s ahead of that of etcd"}},
		"clock behind": {func(s *Snapshot) { s.Agents[1].Report.Clocks = Clocks{BucketMs: ms(60_000)} }, Degraded, true, []string{"1m0s behind that of the bucket"}},
		"clocks agree": {func(s *Snapshot) { s.Agents[1].Report.Clocks = Clocks{EtcdMs: ms(-900), BucketMs: ms(4_000)} }, Healthy, true, nil},
		"upload late": {func(s *Snapshot) {
			s.Agents[1].Report.UntieredBytes, s.Agents[1].Report.OldestUntieredMs = 5e6, 95_000
		}, Degraded, true, []string{"5.0 MB only on agents' disks, the oldest for 1m35s"}},
		"stuck": {func(s *Snapshot) { s.Agents[1].Report.Stuck = []Reason{{"t/1", "gone"}} }, Degraded, true, []string{"partition t/1 of agent 2 (host-2:9645) can't be uploaded"}},
		"rules": {func(s *Snapshot) { s.Agents[1].Report.BucketDanger = "rules delete objects" }, Degraded, true, []string{"rules delete objects"}},
		"hole": {func(s *Snapshot) {
			s.Agents[1].Report.Holes, s.Agents[1].Report.HoleCount = []Hole{{Topic: "t", Partition: 3, From: 10, To: 20, Object: "data/x", Why: "gone"}}, 2
		}, Degraded, true, []string{"agent 2 (host-2:9645) can't read 2 ranges of records, such as t/3, offsets 10 to 20 (object data/x): gone"}},
		"no slots": {func(s *Snapshot) { s.SlotsFree = 3 }, Unavailable, true, []string{"3 coordinator slots have no coordinator"}},
		"alone": {func(s *Snapshot) {
			s.Factor, s.Agents, s.Journals = 1, s.Agents[:1], []Journal{{ID: id.Journal{Writer: 1, Seq: 1}, Broker: 1, State: Open, Quorum: 1, Ensemble: []id.Store{store(1)}}}
		}, Healthy, false, nil},
		"nobody": {func(s *Snapshot) { s.kill(1); s.kill(2); s.kill(3) }, Unavailable, false, []string{"no agent is alive"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := three()
			x.change(s)
			a := Judge(s)
			text := ""
			for _, c := range a.Checks {
				if c.Level != Healthy {
					text += c.Name + ": " + c.Text + " -> " + c.Do + "\n"
					if c.Do == "" {
						t.Errorf("%s: %q says nothing to do", c.Name, c.Text)
					}
				}
			}
			if a.Level != x.level || a.MayStop != x.mayStop {
				t.Errorf("level %v, may stop %v (%s):\n%s", a.Level, a.MayStop, a.MayStopWhy, text)
			}
			for _, want := range x.says {
				if !strings.Contains(text, want) {
					t.Errorf("want %q in:\n%s", want, text)
				}
			}
			if strings.Contains(text, store(2).String()) {
				t.Errorf("a store's id is shown:\n%s", text)
			}
		})
	}
}

// TestMayStop: with more members than a second loss could take another agent may go.
func TestMayStop(t *testing.T) {
	s := three()
	s.Factor = 5
	for n := byte(4); n <= 5; n++ {
		s.Stores[store(n)] = StoreAt{Broker: id.Broker(n), Live: true}
		s.Agents = append(s.Agents, Agent{Broker: id.Broker(n), Live: true, Store: store(n), Report: &Report{}})
	}
	s.Stores[store(6)] = StoreAt{Broker: 6}
	s.Journals = []Journal{{ID: id.Journal{Writer: 9, Seq: 1}, Broker: 1, State: Open, Quorum: 3, Ensemble: []id.Store{store(1), store(2), store(3), store(4), store(6)}}}
	a := Judge(s)
	if !a.MayStop || a.JournalsShort != 1 || a.Level != Degraded {
		t.Errorf("%+v", a)
	}
	s.Journals[0].Ensemble = s.Journals[0].Ensemble[1:] // one more is gone
	if a = Judge(s); a.MayStop {
		t.Errorf("%+v", a)
	}
	for _, x := range a.Agents {
		if free := x.Broker == 1 || x.Broker == 5; x.MayStop != free {
			t.Errorf("agent %d keeps nothing of it: %v, may stop %v: %s", x.Broker, free, x.MayStop, x.Why)
		}
	}
}

func TestNotReady(t *testing.T) {
	for want, s := range map[string]Self{
		"":                      {},
		"it waits":              {Starting: "it waits", SessionLost: true},
		"the agent is stopping": {Stopping: true},
		"the session with etcd was lost, and is being taken anew":                 {SessionLost: true},
		"the bucket has never worked for this agent: denied":                      {FirstBucket: "denied"},
		"2 partitions have no leader yet, which this agent had before it started": {Recovering: 2},
		"1 partition has no leader yet, which this agent had before it started":   {Recovering: 1},
		"this agent is opening 1 partition that it owns":                          {Opening: 1},
		"3 partitions that this agent owns can't be served yet; t/1: gone":        {Opening: 3, Unserved: Reason{"t/1", "gone"}},
		"disk full": {Full: "disk full", JournalFull: true},
		"the journal is full: producers are refused until the bucket takes what waits": {JournalFull: true},
	} {
		if got := strings.Join(s.NotReady(), "|"); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

// TestLevelAsText: an answer survives its way to the command line.
func TestLevelAsText(t *testing.T) {
	for l := Healthy; l <= Unavailable; l++ {
		b, err := json.Marshal(Answer{Level: l})
		var a Answer
		if err != nil || json.Unmarshal(b, &a) != nil || a.Level != l {
			t.Errorf("%v became %v: %s, %v", l, a.Level, b, err)
		}
	}
	if err := new(Level).UnmarshalText([]byte("fine")); err == nil {
		t.Error("any word is a level")
	}
}

// TestWithoutEtcd: while etcd doesn't answer the verdict begins with that, knows the agent that
// was asked, and gives no advice that needs to be sure of the others.
func TestWithoutEtcd(t *testing.T) {
	for _, frozen := range []bool{false, true} { // whether the last picture has the sessions gone
		s := three()
		if frozen {
			s.kill(2)
			s.kill(3)
			s.Journals[1].State, s.Journals[2].State, s.Leaderless = Dead, Dead, 8
		}
		s.Agents[0].Report.Etcd = Place{"etcd", "no quorum", time.Unix(900, 0)}
		s.Agents[0].Report.Bucket.Error = "refused"
		a := Judge(s)
		if c := a.Checks[0]; c.Name != "etcd" || !strings.Contains(c.Text, "no offset is committed, no topic can be written") || !strings.Contains(a.Headline(), "the last that was known at 1970-01-01 00:15:00") {
			t.Errorf("first comes %+v", c)
		}
		lines := map[string]bool{}
		for _, c := range a.Checks {
			lines[c.Name] = true
			for _, harm := range []string{"accept-loss", "forget", "start"} {
				if strings.Contains(c.Do, harm) {
					t.Errorf("%s: %s: %s", c.Name, c.Text, c.Do)
				}
			}
		}
		for _, name := range []string{"bucket", "disk", "partitions", "journals"} {
			if !lines[name] {
				t.Errorf("no line %s: %+v", name, a.Checks)
			}
		}
		if want := map[bool]Level{false: Degraded, true: Unavailable}[frozen]; a.Level != want || a.MayStop || a.MayStopWhy == "" {
			t.Errorf("%v, may stop %v: %s", a.Level, a.MayStop, a.MayStopWhy)
		}
	}
}

// TestLines: a verdict doesn't contradict or repeat itself.
func TestLines(t *testing.T) {
	lines := func(change func(*Snapshot)) (text string) {
		s := three()
		change(s)
		for _, c := range Judge(s).Checks {
			text += c.Level.String() + " " + c.Name + ": " + c.Text + "\n"
		}
		return text
	}
	if text := lines(func(s *Snapshot) { s.kill(2) }); strings.Contains(text, "healthy agents") {
		t.Errorf("an agent is gone, and agents are fine:\n%s", text)
	}
	if text := lines(func(s *Snapshot) { s.Agents[1].Drained = true }); !strings.Contains(text, "healthy agents: agent 2 (host-2:9645) is drained") {
		t.Errorf("a drained agent is not named:\n%s", text)
	}
	of := "store " + store(3).String()
	if text := lines(func(s *Snapshot) {
		m := &s.Agents[0].Report.Journals["1-1"][2]
		m.Connected, m.Error = false, of+": "+of+" at host-3:9645: refused"
	}); !strings.Contains(text, "without agent 3 (host-3:9645): not connected, refused\n") {
		t.Errorf("a reason is repeated:\n%s", text)
	}
	if text := lines(func(s *Snapshot) { s.Partitions, s.Journals = 1, s.Journals[:1] }); strings.Contains(text, "all 1 ") {
		t.Errorf("one is all:\n%s", text)
	}
}
