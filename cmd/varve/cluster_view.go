package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"varve/admin"
	"varve/health"
	"varve/internal/say"
)

// agentState is what one agent reports of itself.
type agentState struct {
	Broker   int32                 `json:"broker"`
	Status   *admin.Status         `json:"status"`
	Journals *admin.JournalsStatus `json:"journals"`
	Problem  string                `json:"problem,omitempty"`
}

// agentPatience bounds what one agent has to answer: one that doesn't holds nothing up.
const agentPatience = time.Second

// askAll asks an agent for the cluster, and then all agents for themselves.
func (s *clusterState) askAll(ctx context.Context, addr string) (err error) {
	if s.View, err = askAgent[admin.ClusterStatus](ctx, http.MethodGet, addr, "/v1/cluster"); err != nil {
		return err
	}
	s.Agents = make([]agentState, len(s.View.Agents))
	var wg sync.WaitGroup
	wg.Go(func() {
		if s.Health, err = askHealth(ctx, addr); err != nil {
			err = fmt.Errorf("ask for the cluster's health: %w", err)
		}
	})
	for i, a := range s.View.Agents {
		wg.Go(func() { s.Agents[i] = askOne(ctx, a) })
	}
	wg.Wait()
	return err
}

func askOne(ctx context.Context, a admin.AgentStatus) agentState {
	s := agentState{Broker: a.Broker}
	if a.HTTP == "" {
		s.Problem = "it has no HTTP address"
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	var err error
	if s.Status, err = agentStatus(ctx, a.HTTP); err == nil {
		s.Journals, err = askAgent[admin.JournalsStatus](ctx, http.MethodGet, a.HTTP, "/v1/journals")
	}
	if err != nil {
		s.Problem = err.Error()
	}
	return s
}

// printView shows which agent has what.
func (s *clusterState) printView(t *table) {
	if s.View == nil {
		return
	}
	t.gap()
	t.row("AGENT", "STATE", "PARTITIONS", "SLOTS", "BYTES/S", "REQUESTS/S", "NOT IN BUCKET", "JOURNAL")
	for i, a := range s.View.Agents {
		waits, journal := dash, dash
		if st := s.Agents[i].Status; st != nil {
			waits, journal = say.Bytes(st.UntieredBytes)+ageOf(st.OldestUntieredMs), fmt.Sprintf("%.0f %% full", st.JournalPressure*100)
		}
		t.row(a.Broker, stateOf(a), a.Partitions, a.Slots, say.Bytes(a.BytesPerSec), a.ReqsPerSec, waits, journal)
	}
	t.gap()
	t.row("JOURNAL", "AGENT", "STATE", "QUORUM", "MEMBERS")
	for _, j := range s.View.Journals {
		state := j.State
		if j.Waits {
			state = "waits"
		}
		t.row(j.Journal, j.Broker, state, fmt.Sprintf("%d of %d", j.Quorum, len(j.Members)), strings.Join(s.membersOf(j), "  "))
	}
	if s.View.MovesTotal > 0 {
		t.gap()
		t.row("moving: " + say.Count(s.View.MovesTotal, "partition"))
	}
	if s.Health != nil {
		t.gap()
		t.row(s.Health.Headline())
		for _, c := range s.Health.Checks {
			if c.Level != health.Healthy {
				t.row("  "+c.Level.String(), c.Name, c.Text)
			}
		}
	}
	if text := levelOf(s.View); text != "" {
		t.gap()
		t.row(text)
	}
	for _, line := range s.problems() {
		t.row(line)
	}
}

// levelOf describes the cluster's level if something is to be done about it.
func levelOf(v *admin.ClusterStatus) string {
	switch {
	case v.LevelNext > 0:
		return fmt.Sprintf("a finalization of the cluster at level %d did not end: run 'varve cluster finalize' again", v.LevelNext)
	case v.Level > 0 && v.LevelMax > v.Level:
		return fmt.Sprintf("the cluster is at level %d, its agents know level %d: 'varve cluster finalize' ends the upgrade", v.Level, v.LevelMax)
	}
	return ""
}

func stateOf(a admin.AgentStatus) string {
	switch {
	case a.Leaving:
		return "stopping"
	case a.Drained:
		return "drained"
	}
	return "live"
}

// membersOf shows the members of a journal, and their lag where the writer tells it.
func (s *clusterState) membersOf(j admin.JournalStatus) []string {
	lag := map[string]admin.LagStatus{}
	for _, a := range s.Agents {
		if a.Journals != nil && a.Journals.Journal == j.Journal {
			for _, m := range a.Journals.Members {
				lag[m.Store] = m
			}
		}
	}
	var out []string
	for _, m := range j.Members {
		text := number(m.Broker)
		if m.Host != "" && !m.Live {
			text += " at " + m.Host
		}
		l, told := lag[m.Store]
		switch {
		case m.Gone:
			text += " (its disk is gone)"
		case !m.Live:
			text += " (unavailable)"
		case told && !l.Own && l.ConnectedMs == 0 && strings.Contains(l.Error, "disk full"):
			text += " (disk full)"
		case told && !l.Own && l.ConnectedMs == 0:
			text += " (not connected)"
		case told && l.LagBytes > 0:
			text += fmt.Sprintf(" (%s behind)", say.Bytes(l.LagBytes))
		}
		out = append(out, text)
	}
	return out
}

// problems reports which agents' own pages could not be read. What waits, and why, is in Health.
func (s *clusterState) problems() (lines []string) {
	for _, a := range s.Agents {
		if a.Problem != "" {
			lines = append(lines, fmt.Sprintf("agent %d: %s", a.Broker, a.Problem))
		}
	}
	return lines
}
