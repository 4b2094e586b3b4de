package health

import (
	"fmt"
	"slices"
	"strings"

	"varve/internal/id"
	"varve/internal/say"
)

// Short counts the open journals with fewer live members than they should have.
func (s *Snapshot) Short(factor int) (n int) {
	for i := range s.Journals {
		x, live := &s.Journals[i], 0
		for _, m := range x.Ensemble {
			if s.Stores[m].Live {
				live++
			}
		}
		if x.State != Sealed && (live < factor || live < len(x.Ensemble)) {
			n++
		}
	}
	return n
}

// good are the stores that can be counted on to have a journal: an agent with a session
// has each, and the writer, where it tells, is connected with it or has brought it all.
func (j *judge) good(x *Journal) (good []id.Store) {
	told := j.told(x)
	for _, s := range slices.Concat(x.Ensemble, x.Holders) {
		if !j.s.Stores[s].Live || slices.Contains(good, s) {
			continue
		}
		m, known := told[s.String()]
		switch {
		case !known, m.Own:
		case x.State == Sealed && m.Durable < x.End:
			continue
		case x.State != Sealed && (!m.Connected || m.Behind):
			continue
		}
		good = append(good, s)
	}
	return good
}

// told is what the writer of a journal reports of its members.
func (j *judge) told(x *Journal) map[string]MemberLag {
	out := map[string]MemberLag{}
	for i := range j.s.Agents {
		r := j.s.Agents[i].Report
		if r == nil || id.Incarnation(r.Incarnation) != x.ID.Writer {
			continue
		}
		for _, m := range r.Journals[x.ID.String()] {
			out[m.Store] = m
		}
	}
	return out
}

// journals reports which have fewer members than they should, and which wait.
func (j *judge) journals() {
	open := 0
	for i := range j.s.Journals {
		x := &j.s.Journals[i]
		good := j.good(x)
		host := j.hostOf(x.Broker)
		switch x.State {
		case Dead:
			j.a.JournalsShort++
			j.say("journals", Unavailable, j.known(remedy(x)), "journal %v of %s waits to be recovered: %s", x.ID, name(x.Broker, host), j.why(x, good))
		case Open:
			open++
			if len(good) >= j.s.Factor && len(good) >= len(x.Ensemble) {
				continue
			}
			j.a.JournalsShort++
			level, effect := Degraded, ""
			if len(good) < x.Quorum {
				level, effect = Unavailable, fmt.Sprintf("; it takes no records with fewer than %d", x.Quorum)
			}
			j.say("journals", level, j.known("start the agents that are missing, or another one: it takes their place"), "journal %v of %s has %d of %d members%s%s", x.ID, name(x.Broker, host), len(good),
				max(j.s.Factor, len(x.Ensemble)), j.missing(x, good), effect)
		}
	}
	if j.a.JournalsShort == 0 {
		j.say("journals", Healthy, "", "%s", all(open, "open journal", "its members"))
	}
}

func (j *judge) hostOf(b id.Broker) string {
	for i := range j.s.Agents {
		if j.s.Agents[i].Broker == b {
			return j.s.Agents[i].Host
		}
	}
	return ""
}

// why reports what a journal that can't be recovered waits for.
func (j *judge) why(x *Journal, good []id.Store) string {
	for i := range j.s.Agents {
		if r := j.s.Agents[i].Report; r != nil {
			for _, w := range r.Waiting {
				if w.What == x.ID.String() {
					return j.hosts(w.Why)
				}
			}
		}
	}
	return fmt.Sprintf("%d of %d members live, %d must%s", len(good), len(x.Ensemble), max(1, len(x.Ensemble)-x.Quorum+1), j.missing(x, good))
}

func remedy(x *Journal) string {
	return fmt.Sprintf("it takes a second or two; else bring the missing disks back, or accept the loss of what only they have: 'varve cluster accept-loss %v'", x.ID)
}

// missing names the members that can't be counted on.
func (j *judge) missing(x *Journal, good []id.Store) string {
	told := j.told(x)
	var names []string
	for _, s := range x.Ensemble {
		if slices.Contains(good, s) {
			continue
		}
		at, known := j.s.Stores[s]
		if !known {
			at.Broker = id.NoBroker
		}
		text := name(at.Broker, at.Host)
		switch m := told[s.String()]; {
		case at.Gone:
			text += ": its disk is gone, it has another now"
		case !at.Live:
			text += ": not alive"
		case m.Behind:
			text += fmt.Sprintf(": %s behind", say.Bytes(m.LagBytes))
		case m.Error != "":
			text += ": not connected, " + j.without(m.Error, at)
		default:
			text += ": not connected yet"
		}
		names = append(names, text)
	}
	if len(names) == 0 {
		return ""
	}
	return ", without " + sorted(names)
}

// without is an error of a store that the line has named already.
func (j *judge) without(text string, at StoreAt) string {
	text = j.hosts(text)
	rest, found := strings.CutPrefix(text, "the store of "+name(at.Broker, at.Host))
	if _, why, more := strings.Cut(rest, ": "); found && more {
		return why
	}
	return text
}

// stop decides for each agent whether it may be stopped now, its disk be lost included.
func (j *judge) stop() {
	all := true
	for i := range j.s.Agents {
		a, state := &j.s.Agents[i], &j.a.Agents[i]
		if !a.Live {
			continue
		}
		state.Why = j.mayNotStop(a)
		state.MayStop = state.Why == ""
		if !state.MayStop && all {
			all, j.a.MayStopWhy = false, state.Why
		}
	}
	j.a.MayStop = all && j.a.AgentsLive > 1
	switch {
	case j.a.AgentsLive == 0:
		j.a.MayStopWhy = "no agent is known to be alive"
		j.say("stopping an agent", Degraded, j.known("start agents"), "not now: %s", j.a.MayStopWhy)
	case j.a.AgentsLive == 1 && j.a.AgentsExpected == 1:
		j.a.MayStopWhy = "there is one agent only: nobody serves while it is stopped"
		j.say("stopping an agent", Healthy, "", "%s", j.a.MayStopWhy)
	case j.a.MayStop:
		j.say("stopping an agent", Healthy, "", "any one agent may be stopped now")
	default:
		j.say("stopping an agent", Degraded, "stop no agent until this is over", "not now: %s", j.a.MayStopWhy)
	}
}

// mayNotStop is why an agent may not be stopped; empty: it may.
func (j *judge) mayNotStop(a *Agent) string {
	if j.a.AgentsLive == 1 {
		return a.name() + " is the only one that is alive"
	}
	for i := range j.s.Agents {
		other := &j.s.Agents[i]
		if other.Live && other.Report != nil && other.Report.Etcd.Error != "" {
			return "etcd does not answer " + other.name() + ": nobody could take over"
		}
		if why := other.busy(); why != "" && other != a {
			return other.name() + " " + why
		}
	}
	for i := range j.s.Journals {
		x := &j.s.Journals[i]
		left := slices.DeleteFunc(j.good(x), func(s id.Store) bool { return s == a.Store })
		need := max(x.Quorum, len(x.Ensemble)-x.Quorum+1)
		if x.State == Sealed {
			need = min(1, int(x.End))
		}
		if len(left) < need {
			return fmt.Sprintf("journal %v of %s would be left with %d of the %d members that it needs", x.ID, name(x.Broker, j.hostOf(x.Broker)), len(left), need)
		}
	}
	if a.Report != nil && a.Report.Bucket.Error != "" {
		return "the bucket does not answer " + a.name() + ": what waits could not be uploaded at its stop"
	}
	return ""
}

// busy is why an agent can't take over from another one now.
func (a *Agent) busy() string {
	switch a.state() {
	case "silent":
		return "does not answer"
	case "stopping":
		return "is stopping"
	case "starting":
		return "is starting"
	case "not ready":
		return "is not ready: " + a.Report.NotReady[0]
	}
	return ""
}
