package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/internal/id"
	"varve/internal/say"
)

// Judge decides how well a cluster is.
func Judge(s *Snapshot) *Answer {
	j := &judge{s: s, a: &Answer{Cluster: s.Cluster, Agents: []AgentState{}, Checks: []Check{}}}
	j.etcd()
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
	// away: etcd does not answer the agent that was asked, and the picture is an old one.
	away bool
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

// etcd reports first that the picture is an old one. The agent that was asked is there in any
// case.
func (j *judge) etcd() {
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.Broker != j.s.AskedAgent || a.Report == nil || a.Report.Etcd.Error == "" {
			continue
		}
		j.away, j.a.EtcdAwaySince = true, a.Report.Etcd.Since
		j.say("etcd", Degraded, "check etcd first", "does not answer %s since %s: no offset is committed, no topic can be written, and there is no failover: %s",
			a.name(), a.Report.Etcd.Since.UTC().Format(time.DateTime), a.Report.Etcd.Error)
	}
}

// known is advice that needs to be sure of the cluster's state.
func (j *judge) known(do string) string {
	if j.away {
		return "wait until etcd answers: what is true now is not known"
	}
	return do
}

// agents compares those that are there with those that should be.
func (j *judge) agents() {
	var bad, drained []Check
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
		if text, do := j.amiss(a, state); text != "" {
			bad = append(bad, Check{"agents", Degraded, text, do})
		}
		if a.Drained && a.Expected() {
			drained = append(drained, Check{"agents", Healthy, fmt.Sprintf("%s is drained: it gets no partitions until 'varve cluster undrain %d'", a.name(), a.Broker), ""})
		}
	}
	text := fmt.Sprintf("%d of %s alive", j.a.AgentsLive, say.Count(j.a.AgentsExpected, "agent"))
	switch {
	case j.a.AgentsLive == 0:
		j.say("agents", Unavailable, j.known("start agents"), "no agent is alive")
	case j.a.AgentsExpected < j.s.Factor:
		j.say("agents", Degraded, j.known("start more agents, or set a smaller replication.factor"), "%s; replication.factor %d wants %d", text, j.s.Factor, j.s.Factor)
	case len(bad) == 0:
		j.say("agents", Healthy, "", "%s", text)
	}
	j.a.Checks = append(append(j.a.Checks, bad...), drained...)
}

// amiss reports what is wrong with an agent, and what to do; "" if nothing is.
func (j *judge) amiss(a *Agent, state string) (text, do string) {
	last := "; it registered last at " + a.Registered.UTC().Format(time.DateTime)
	forget := j.known(fmt.Sprintf("start it; or, if it won't come back, 'varve cluster forget %d'", a.Broker))
	switch state {
	case "stopped":
		if a.Expected() {
			return a.name() + " was stopped and is not back" + last, forget
		}
	case "gone":
		if j.away {
			return a.name() + " had no session when etcd last answered" + last, forget
		}
		return a.name() + " is gone" + last, forget
	case "silent":
		return a.name() + " has a session but does not answer: " + a.Problem, "look at that host: the process may hang, or its network be cut"
	case "stopping":
		return a.name() + " is stopping", "wait until its partitions are with others"
	case "starting":
		return a.name() + " is starting: " + a.Report.Starting, "wait; its log says more"
	case "not ready":
		return a.name() + " is not ready: " + strings.Join(a.Report.NotReady, "; "), "see what its /readyz says, and its log"
	}
	return "", ""
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

// partitions counts those that aren't served. What an agent leads that doesn't answer is
// not served, as far as is known.
func (j *judge) partitions() {
	unserved, unsure := 0, false
	var why []string
	for i := range j.s.Agents {
		a := &j.s.Agents[i]
		if a.hangs() && a.Leads > 0 {
			unserved += a.Leads
			j.say("partitions", Unavailable, "wait some seconds for failover; if it stays, look at that host", "%d of %d %s led by %s, which does not answer", a.Leads, j.s.Partitions, are(a.Leads), a.name())
		} else if a.Leaving && a.Leads > 0 {
			unsure = true
			j.say("partitions", Degraded, "wait until they are with others", "%d of %d %s led by %s, which is stopping", a.Leads, j.s.Partitions, are(a.Leads), a.name())
		}
		if r := a.Report; r != nil {
			if r.Opening > 0 {
				unsure = true
				j.say("partitions", Degraded, "wait until they are open", "%d of %d %s being opened by %s", r.Opening, j.s.Partitions, are(r.Opening), a.name())
			}
			unserved += len(r.Unserved)
			for _, u := range r.Unserved {
				why = append(why, fmt.Sprintf("partition %s of %s can't be served: %s", u.What, a.name(), j.hosts(u.Why)))
			}
		}
	}
	j.a.PartitionsLeaderless = j.s.Leaderless + unserved
	switch {
	case j.a.PartitionsLeaderless > 0:
		j.say("partitions", Unavailable, j.known("wait some seconds for failover; if it stays, see the journals that wait"), "%d of %d have no leader that serves them", j.a.PartitionsLeaderless, j.s.Partitions)
	case !unsure:
		j.say("partitions", Healthy, "", "%s", all(j.s.Partitions, "partition", "a leader"))
	}
	if j.s.SlotsFree > 0 {
		j.say("groups", Unavailable, j.known("wait some seconds for failover"), "%s no coordinator: their consumer groups wait", say.Count(j.s.SlotsFree, "coordinator slot has", "coordinator slots have"))
	}
	for _, line := range why[:min(len(why), linesShown)] {
		j.say("partitions", Unavailable, j.known("bring back the agent that it waits for"), "%s", line)
	}
}

// hangs: it has a session and doesn't answer.
func (a *Agent) hangs() bool { return a.Live && a.Report == nil && a.Problem != "" }

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// all reports that each of n things has something.
func all(n int, what, it string) string {
	switch n {
	case 0:
		return "there is no " + what
	case 1:
		return "the only " + what + " has " + it
	}
	return fmt.Sprintf("all %d %ss have %s", n, what, strings.Replace(it, "its ", "their ", 1))
}

// linesShown bounds the lines about one kind of thing.
const linesShown = 20

// hosts adds to each store in a text where it was.
func (j *judge) hosts(text string) string {
	for s, at := range j.s.Stores {
		its := "the store of " + name(at.Broker, at.Host)
		text = strings.ReplaceAll(text, "store "+s.String(), its)
		for strings.Contains(text, its+": "+its) { // each layer named it
			text = strings.ReplaceAll(text, its+": "+its, its)
		}
		text = strings.ReplaceAll(text, its+" at "+at.Host+": ", its+": ")
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
		text = fmt.Sprintf("%s only on agents' disks, the oldest for %v", say.Bytes(j.a.AtRisk.Bytes), age(j.a.AtRisk.OldestMs))
	}
	if j.a.AtRisk.Unknown > 0 {
		text = fmt.Sprintf("%s did not say; on the others: %s", say.Count(j.a.AtRisk.Unknown, "agent"), text)
	}
	if j.riskUnknown(text) {
		return
	}
	if late := 2*j.s.MaxAge + 30*time.Second; time.Duration(j.a.AtRisk.OldestMs)*time.Millisecond > late {
		j.say("data at risk", Degraded, "see the bucket; journal.hard_bytes says how much may wait", "%s; it should be there after %v", text, j.s.MaxAge)
		return
	}
	j.say("data at risk", Healthy, "", "%s", text)
}

// riskUnknown reports that no live agent knows what a dead agent's journal has that the
// bucket lacks.
func (j *judge) riskUnknown(others string) bool {
	var waits []string
	since := time.Time{}
	for i := range j.s.Journals {
		x := &j.s.Journals[i]
		if x.State != Dead {
			continue
		}
		waits = append(waits, x.ID.String())
		if !x.Tiered.IsZero() && (since.IsZero() || x.Tiered.Before(since)) {
			since = x.Tiered
		}
	}
	if len(waits) == 0 {
		return false
	}
	from := "; since when is not known"
	if !since.IsZero() {
		from = "; it was written after " + since.UTC().Format(time.DateTime) + ", of when the newest record of its partitions in the bucket is"
	}
	j.say("data at risk", Degraded, j.known("see the journals that wait"), "unknown: what journal %s has that the bucket lacks, until it is recovered%s. Else: %s", strings.Join(waits[:min(len(waits), linesShown)], ", "), from, others)
	return true
}

func age(ms int64) time.Duration {
	return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond)
}

// places reports which agents can't reach the bucket or etcd.
func (j *judge) places() {
	for _, what := range []struct {
		name, do string
		of       func(*Report) *Place
	}{
		{"bucket", "check store.endpoint, the bucket and the credentials; records wait in the journals meanwhile", func(r *Report) *Place { return &r.Bucket }},
		{"etcd", "check etcd: without it there is no failover, no offset is committed and no topic can be written", func(r *Report) *Place { return &r.Etcd }},
	} {
		asked, bad := 0, 0
		first := what.name == "etcd" && j.away // said before all else
		for i := range j.s.Agents {
			a := &j.s.Agents[i]
			if a.Report == nil {
				continue
			}
			asked++
			if p := what.of(a.Report); p.Error != "" {
				bad++
				if first && a.Broker == j.s.AskedAgent {
					continue
				}
				j.say(what.name, Degraded, what.do, "does not answer %s since %s: %s", a.name(), p.Since.UTC().Format(time.DateTime), p.Error)
			}
		}
		if bad == 0 && asked > 0 {
			j.say(what.name, Healthy, "", "answers %s", say.Count(asked, "agent"))
		}
	}
}

// tier reports which records can't be read, or soon will not be.
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
			"%s can't read %s of records, such as %s: %s", a.name(), say.Count(a.Report.HoleCount, "range"), h.String(), h.Why)
	}
}

// disks reports which are short of room.
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
			j.say("disk", Degraded, "make room on that disk; producers are slowed down", "%s has %s free of %s, and keeps %s of that (journal.reserve_bytes)", a.name(), say.Bytes(d.FreeBytes), say.Bytes(d.TotalBytes), say.Bytes(d.ReserveBytes))
		case least < 0 || d.FreeBytes < least:
			least, of = d.FreeBytes, a.name()
		}
		if a.Report.JournalPressure >= 1 && d.Full == "" {
			j.say("disk", Unavailable, "see the bucket: what waits for it fills the journal", "the journal of %s is full: it refuses producers", a.name())
		}
	}
	if least >= 0 {
		j.say("disk", Healthy, "", "%s free at least, on %s", say.Bytes(least), of)
	}
}

// clocks reports which agents' clocks are off.
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

// sorted returns the names of agents in order.
func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
