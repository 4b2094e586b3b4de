package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/internal/id"
)

// Judge decides how well a cluster is.
func Judge(s *Snapshot) *Answer {
	j := &judge{s: s, a: &Answer{Cluster: s.Cluster, Agents: []AgentState{}, Checks: []Check{}}}
	j.agents()
	j.partitions()
	j.journals()
	j.stop()
	j.risk()
	j.places()
	j.tier()
	j.disks()
	j.clocks()
	for _, c := range j.a.Checks {
		j.a.Level = max(j.a.Level, c.Level)
	}
	return j.a
}

// judge is a verdict in the making.
type judge struct {
	s *Snapshot
	a *Answer
}

func (j *judge) say(name string, level Level, do, format string, args ...any) {
	j.a.Checks = append(j.a.Checks, Check{name, level, fmt.Sprintf(format, args...), do})
}

// name is an agent with its host.
func name(b id.Broker, host string) string {
	if b == id.NoBroker {
		return "an agent that is not known"
	}
	if host == "" {
		return fmt.Sprintf("agent %d", b)
	}
	return fmt.Sprintf("agent %d (%s)", b, host)
}

func (a *Agent) name() string { return name(a.Broker, a.Host) }

// agents compares those that are there with those that should be.
func (j *judge) agents() {
	var bad []Check
	note := func(level Level, do, format string, args ...any) {
		bad = append(bad, Check{"agents", level, fmt.Sprintf(format, args...), do})
	}
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Expected() {
			j.a.AgentsExpected++
		}
		if a.Live {
			j.a.AgentsLive++
		}
		state := a.state()
		j.a.Agents = append(j.a.Agents, AgentState{Broker: int32(a.Broker), Host: a.Host, State: state, Drained: a.Drained, Report: a.Report})
		switch forget := fmt.Sprintf("start it; or, if it won't come back, 'varve cluster forget %d'", a.Broker); state {
		case "stopped":
			if a.Expected() {
				note(Degraded, forget, "%s was stopped and is not back; it registered last at %s", a.name(), a.Registered.UTC().Format(time.DateTime))
			}
		case "gone":
			note(Degraded, forget, "%s is gone; it registered last at %s", a.name(), a.Registered.UTC().Format(time.DateTime))
		case "silent":
			note(Degraded, "look at that host: the process may hang, or its network be cut", "%s has a session but does not answer: %s", a.name(), a.Problem)
		case "starting":
			note(Degraded, "wait; its log says more", "%s is starting: %s", a.name(), a.Report.Starting)
		case "not ready":
			note(Degraded, "see what its /readyz says, and its log", "%s is not ready: %s", a.name(), strings.Join(a.Report.NotReady, "; "))
		}
	}
	if j.a.AgentsLive == 0 {
		note(Unavailable, "start agents", "no agent is alive")
	}
	level, text := Healthy, fmt.Sprintf("%d of %s alive", j.a.AgentsLive, Count(j.a.AgentsExpected, "agent"))
	if j.a.AgentsExpected < j.s.Factor {
		level, text = Degraded, text+fmt.Sprintf("; replication.factor %d wants %d", j.s.Factor, j.s.Factor)
	}
	if level == Healthy {
		j.say("agents", level, "", "%s", text)
	} else {
		j.say("agents", level, "start more agents, or set a smaller replication.factor", "%s", text)
	}
	j.a.Checks = append(j.a.Checks, bad...)
}

func (a *Agent) state() string {
	switch {
	case !a.Live && a.Stopped:
		return "stopped"
	case !a.Live:
		return "gone"
	case a.Leaving:
		return "stopping"
	case a.Report == nil && a.Problem == "":
		return "not asked"
	case a.Report == nil:
		return "silent"
	case a.Report.Starting != "":
		return "starting"
	case len(a.Report.NotReady) > 0:
		return "not ready"
	}
	return "serving"
}

// partitions counts those that nobody serves.
func (j *judge) partitions() {
	unserved := 0
	var why []string
	for i := range j.s.Agents {
		if r := j.s.Agents[i].Report; r != nil {
			unserved += len(r.Unserved)
			for _, u := range r.Unserved {
				why = append(why, fmt.Sprintf("partition %s of %s can't be served: %s", u.What, j.s.Agents[i].name(), j.hosts(u.Why)))
			}
		}
	}
	j.a.PartitionsLeaderless = j.s.Leaderless + unserved
	if j.a.PartitionsLeaderless == 0 {
		j.say("partitions", Healthy, "", "all %d have a leader", j.s.Partitions)
	} else {
		j.say("partitions", Unavailable, "wait some seconds for failover; if it stays, see the journals that wait", "%d of %d have no leader that serves them", j.a.PartitionsLeaderless, j.s.Partitions)
	}
	if j.s.SlotsFree > 0 {
		j.say("groups", Unavailable, "wait some seconds for failover", "%s no coordinator: their consumer groups wait", Count(j.s.SlotsFree, "coordinator slot")+" "+has(j.s.SlotsFree))
	}
	for _, line := range why[:min(len(why), linesShown)] {
		j.say("partitions", Unavailable, "bring back the agent that it waits for", "%s", line)
	}
}

// linesShown bounds the lines about one kind of thing.
const linesShown = 20

// hosts adds to each store in a text where it was.
func (j *judge) hosts(text string) string {
	for s, at := range j.s.Stores {
		text = strings.ReplaceAll(text, "store "+s.String(), "the store of "+name(at.Broker, at.Host))
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// risk sums up what is not in the bucket.
func (j *judge) risk() {
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Report == nil {
			if a.Live {
				j.a.AtRisk.Unknown++
			}
			continue
		}
		j.a.AtRisk.Bytes += a.Report.UntieredBytes
		j.a.AtRisk.OldestMs = max(j.a.AtRisk.OldestMs, a.Report.OldestUntieredMs)
		for _, u := range a.Report.Stuck {
			j.say("upload", Degraded, "see its log; 'varve dump head' shows the partition", "partition %s of %s can't be uploaded, and the journal keeps all that came after it: %s", u.What, a.name(), u.Why)
		}
	}
	text := "nothing waits for the bucket"
	if j.a.AtRisk.Bytes > 0 {
		text = fmt.Sprintf("%s only on agents' disks, the oldest for %v", Bytes(j.a.AtRisk.Bytes), age(j.a.AtRisk.OldestMs))
	}
	if j.a.AtRisk.Unknown > 0 {
		text += fmt.Sprintf("; %s did not say", Count(j.a.AtRisk.Unknown, "agent"))
	}
	if late := 2*j.s.MaxAge + 30*time.Second; time.Duration(j.a.AtRisk.OldestMs)*time.Millisecond > late {
		j.say("data at risk", Degraded, "see the bucket; journal.hard_bytes says how much may wait", "%s; it should be there after %v", text, j.s.MaxAge)
		return
	}
	j.say("data at risk", Healthy, "", "%s", text)
}

func age(ms int64) time.Duration {
	return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond)
}

// places says which agents can't reach the bucket or etcd.
func (j *judge) places() {
	for _, what := range []struct {
		name, do string
		of       func(*Report) *Place
	}{
		{"bucket", "check store.endpoint, the bucket and the credentials; records wait in the journals meanwhile", func(r *Report) *Place { return &r.Bucket }},
		{"etcd", "check etcd: without it there is no failover, and no offset is committed", func(r *Report) *Place { return &r.Etcd }},
	} {
		asked, bad := 0, 0
		for i := range j.s.Agents {
			a := &j.s.Agents[i]
			if a.Report == nil {
				continue
			}
			asked++
			if p := what.of(a.Report); p.Error != "" {
				bad++
				j.say(what.name, Degraded, what.do, "does not answer %s since %s: %s", a.name(), p.Since.UTC().Format(time.DateTime), p.Error)
			}
		}
		if bad == 0 && asked > 0 {
			j.say(what.name, Healthy, "", "answers %s", Count(asked, "agent"))
		}
	}
}

// tier says which records can't be read, or soon will not be.
func (j *judge) tier() {
	for i := range j.s.Agents {
		if r := j.s.Agents[i].Report; r != nil && r.BucketDanger != "" {
			j.say("bucket", Degraded, "change the bucket's lifecycle rules at once, then look for holes: 'varve tier holes'", "%s", r.BucketDanger)
			break
		}
	}
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Report == nil || a.Report.HoleCount == 0 {
			continue
		}
		h := &a.Report.Holes[0]
		j.say("tier", Degraded, "'varve tier holes' lists them: bring the objects back, or give the records up with 'varve tier skip'",
			"%s can't read %s of records, such as %s: %s", a.name(), Count(a.Report.HoleCount, "range"), h.String(), h.Why)
	}
}

// disks says which are short of room.
func (j *judge) disks() {
	least, of := int64(-1), ""
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Report == nil || a.Report.Disk.TotalBytes == 0 {
			continue
		}
		d := &a.Report.Disk
		switch {
		case d.Full != "":
			j.say("disk", Unavailable, "make room on that disk, or give it a larger one", "%s: %s", a.name(), d.Full)
		case d.Low:
			j.say("disk", Degraded, "make room on that disk; producers are slowed down", "%s has %s free of %s, and keeps %s of that (journal.reserve_bytes)", a.name(), Bytes(d.FreeBytes), Bytes(d.TotalBytes), Bytes(d.ReserveBytes))
		case least < 0 || d.FreeBytes < least:
			least, of = d.FreeBytes, a.name()
		}
		if a.Report.JournalPressure >= 1 && d.Full == "" {
			j.say("disk", Unavailable, "see the bucket: what waits for it fills the journal", "the journal of %s is full: it refuses producers", a.name())
		}
	}
	if least >= 0 {
		j.say("disk", Healthy, "", "%s free at least, on %s", Bytes(least), of)
	}
}

// clocks says which agents' clocks are off.
func (j *judge) clocks() {
	known, fine := 0, true
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Report == nil {
			continue
		}
		if a.Report.Clocks.EtcdMs != nil || a.Report.Clocks.BucketMs != nil {
			known++
		}
		for _, line := range a.Report.Clocks.off() {
			fine = false
			j.say("clocks", Degraded, "set the clocks right (NTP): timestamps, retention and the store's signatures go by them", "%s: %s", a.name(), line)
		}
	}
	if fine && known > 0 {
		j.say("clocks", Healthy, "", "within %v of etcd's and the bucket's", SkewLimit)
	}
}

// sorted gives the names of agents in order.
func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
