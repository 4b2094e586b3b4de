package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/admin"
	"varve/health"
	"varve/internal/say"
)

// clusterState is what cluster status tells.
type clusterState struct {
	Cluster      string        `json:"cluster"`
	Controller   int32         `json:"controller"`
	Brokers      []brokerRow   `json:"brokers"`
	Topics       int           `json:"topics"`
	Partitions   int           `json:"partitions"`
	Leaderless   int           `json:"partitions_without_leader"`
	Agent        *admin.Status `json:"agent"`
	AgentProblem string        `json:"agent_problem,omitempty"`

	View   *admin.ClusterStatus `json:"view"`   // as that agent sees the cluster
	Agents []agentState         `json:"agents"` // what each agent reports of itself
	Health *health.Answer       `json:"health"` // as cluster health tells it
}

// brokerRow is a broker, and where clients reach it.
type brokerRow struct {
	Broker  int32  `json:"broker"`
	Address string `json:"address"`
	Rack    string `json:"rack,omitempty"`
	Leads   int    `json:"leads"` // partitions
}

func clusterStatusCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	var at httpFlag
	var watch bool
	var interval time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Show brokers, leaders and an agent's state",
		Long: `Show the brokers and who leads how many partitions, as Kafka's protocol tells it; the
state of the agent whose HTTP address is --http; and, as it and the other agents tell,
who has what, how each journal is kept, what isn't in the bucket yet, what moves, and what
waits and why. With --http '' any Kafka cluster can be asked. The exit code is 0 when all is
well, 1 when partitions have no leader or 'varve cluster health' finds anything that is not
as it should be, 4 when the agent doesn't answer.

With --watch it is shown again every --interval until it is interrupted; on a terminal each state replaces
the one before.`,
		Example: "  varve cluster status\n  varve cluster status --watch\n  varve cluster status --brokers 10.0.0.1:9092 --http 10.0.0.1:9644",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if interval <= 0 {
				return usagef("--interval is %v: must be more than 0", interval)
			}
			show := func() error { return showStatus(c, &kafka, &out, at.addr) }
			if !watch {
				return show()
			}
			return again(c, interval, show)
		},
	}
	kafka.add(c.Flags())
	out.add(c, clusterState{})
	at.addAddress(c)
	c.Flags().Lookup("http").Usage += "; empty: don't ask one"
	c.Flags().BoolVar(&watch, "watch", false, "show it again and again")
	c.Flags().DurationVar(&interval, "interval", 2*time.Second, "with --watch: how often")
	return c
}

// showStatus asks and shows once.
func showStatus(c *cobra.Command, kafka *kafkaFlags, out *jsonFlag, addr string) error {
	adm, ctx, done, err := kafka.admin(c.Context())
	if err != nil {
		return err
	}
	defer done()
	state, err := clusterOf(ctx, adm)
	if err != nil {
		return err
	}
	if addr != "" {
		if state.Agent, err = agentStatus(ctx, addr); err != nil {
			state.AgentProblem = err.Error()
		} else if state.Agent.Cluster != state.Cluster {
			state.AgentProblem = fmt.Sprintf("the agent at %s is of another cluster, %s", addr, state.Agent.Cluster)
		} else if err := state.askAll(ctx, addr); err != nil {
			state.AgentProblem = err.Error()
		}
	}
	if err := out.write(c.OutOrStdout(), state, state.print); err != nil {
		return err
	}
	switch {
	case addr != "" && state.Agent == nil:
		return quietError{exitUnavailable}
	case state.Leaderless > 0 || state.AgentProblem != "" || state.Health != nil && state.Health.Level != health.Healthy:
		return quietError{exitFailed}
	}
	return nil
}

func clusterOf(ctx context.Context, adm *adminClient) (*clusterState, error) {
	md, err := adm.Metadata(ctx)
	if err != nil {
		return nil, sayKafka("ask for the cluster", err, "")
	}
	s := &clusterState{Cluster: md.Cluster, Controller: md.Controller, Brokers: []brokerRow{}, Topics: len(md.Topics)}
	leads := map[int32]int{}
	md.Topics.EachPartition(func(p kadm.PartitionDetail) {
		s.Partitions++
		leads[p.Leader]++
	})
	for _, b := range md.Brokers {
		r := brokerRow{Broker: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), Leads: leads[b.NodeID]}
		if b.Rack != nil {
			r.Rack = *b.Rack
		}
		s.Brokers = append(s.Brokers, r)
	}
	s.Leaderless = leads[-1]
	return s, nil
}

// agentStatus asks an agent over HTTP.
func agentStatus(ctx context.Context, addr string) (*admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	return askAgent[admin.Status](ctx, http.MethodGet, addr, "/v1/status")
}

func (s *clusterState) print(t *table) {
	t.row(fmt.Sprintf("cluster %s  controller %s  %s  %s  %d without leader", s.Cluster, number(s.Controller), say.Count(s.Topics, "topic"), say.Count(s.Partitions, "partition"), s.Leaderless))
	t.gap()
	t.row("BROKER", "ADDRESS", "RACK", "LEADS")
	for _, b := range s.Brokers {
		t.row(b.Broker, b.Address, orDash(b.Rack), b.Leads)
	}
	if a := s.Agent; a != nil {
		t.gap()
		t.row("AGENT", a.Broker)
		t.row("version", a.Version)
		t.row("incarnation", a.Incarnation)
		t.row("partitions owned, of deleted topics too", a.Partitions)
		t.row("waiting for upload", say.Bytes(a.UntieredBytes)+ageOf(a.OldestUntieredMs))
		t.row("journal", fmt.Sprintf("%s, pressure %.0f %%", say.Bytes(a.JournalBytes), a.JournalPressure*100))
		t.row("in the bucket", say.Bytes(a.TierBytes))
		for _, why := range a.NotReady {
			t.row("NOT READY", why)
		}
	}
	s.printView(t)
	if s.AgentProblem != "" {
		t.gap()
		t.row(s.AgentProblem)
	}
}

func ageOf(ms int64) string {
	if ms <= 0 {
		return ""
	}
	return fmt.Sprintf(", the oldest for %v", (time.Duration(ms) * time.Millisecond).Round(100*time.Millisecond))
}
