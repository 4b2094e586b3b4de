package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/internal/say"
)

// drainedAgent is what cluster drain and undrain tell.
type drainedAgent struct {
	Broker     int32 `json:"broker"`
	Drained    bool  `json:"drained"`
	Partitions int   `json:"partitions"`   // still to move; -1: not known
	Slots      int   `json:"slots"`        // coordinator slots still to move; -1: not known
	Stoppable  bool  `json:"safe_to_stop"` // nothing is left on it that stopping it would make wait

	gone bool // it has no session, so it isn't known what it has
}

// drainFlags are the flags of cluster drain and undrain.
type drainFlags struct {
	at          httpFlag
	out         jsonFlag
	wait, force bool
	limit       time.Duration
}

func clusterDrainCommand() *cobra.Command {
	var f drainFlags
	c := &cobra.Command{
		Use:   "drain BROKER",
		Short: "Move everything off an agent",
		Long: `Move all partitions and coordinator slots off an agent, and give it none, until
'varve cluster undrain'. Journals are no longer kept on it where others can keep them. It
goes on serving readers and stays in the cluster.

It returns when the moves are asked for. With --wait it returns when the agent is empty, and
says whether it is safe to stop. The last agent that isn't drained can't be, but with --force.`,
		Example: "  varve cluster drain 3\n  varve cluster drain 3 --wait && ssh host-3 systemctl stop varve",
		RunE:    func(c *cobra.Command, args []string) error { return f.drain(c, args[0]) },
	}
	f.add(c)
	c.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait until nothing is left on it")
	c.Flags().DurationVar(&f.limit, "wait-timeout", 10*time.Minute, "how long --wait waits")
	c.Flags().BoolVar(&f.force, "force", false, "also the last agent that isn't drained: it serves what it has until another can")
	return c
}

func clusterUndrainCommand() *cobra.Command {
	var f drainFlags
	c := &cobra.Command{
		Use:     "undrain BROKER",
		Short:   "Let a drained agent take its share again",
		Long:    `Let an agent that was drained take its share of partitions and coordinator slots again.`,
		Example: "  varve cluster undrain 3",
		RunE: func(c *cobra.Command, args []string) error {
			broker, err := brokerID(args[0])
			if err != nil {
				return err
			}
			if err := f.post(c.Context(), broker, "undrain"); err != nil {
				return err
			}
			d := &drainedAgent{Broker: broker, Partitions: -1, Slots: -1}
			return f.out.write(c.OutOrStdout(), d, func(t *table) { t.row(fmt.Sprintf("agent %d is no longer drained", broker)) })
		},
	}
	f.add(c)
	return c
}

func (f *drainFlags) add(c *cobra.Command) {
	c.Args = cobra.ExactArgs(1)
	c.ValidArgsFunction = f.at.brokers
	f.at.add(c)
	f.out.add(c, drainedAgent{})
}

func (f *drainFlags) post(ctx context.Context, broker int32, verb string) error {
	_, err := askAgent[struct{}](ctx, http.MethodPost, f.at.addr, fmt.Sprintf("/v1/agents/%d/%s", broker, verb))
	return err
}

func (f *drainFlags) drain(c *cobra.Command, arg string) error {
	broker, err := brokerID(arg)
	if err != nil {
		return err
	}
	ctx := c.Context()
	before, err := askAgent[admin.ClusterStatus](ctx, http.MethodGet, f.at.addr, "/v1/cluster")
	if err != nil {
		return err
	}
	last := isLast(before, broker)
	if last && !f.force {
		return fmt.Errorf("agent %d is the last that isn't drained: no other agent can take what it has. Undrain another, or use --force", broker)
	}
	if err := f.post(ctx, broker, "drain"); err != nil {
		return err
	}
	if last {
		fmt.Fprintln(c.ErrOrStderr(), "no other agent can take it: agent", broker, "serves what it has until one can")
	}
	d := left(before, broker)
	if f.wait {
		if d, err = f.await(ctx, broker, c.ErrOrStderr()); err != nil {
			return err
		}
	}
	return f.out.write(c.OutOrStdout(), d, func(t *table) { t.row(d.text(f.wait)) })
}

func (d *drainedAgent) text(waited bool) string {
	if waited {
		return fmt.Sprintf("agent %d is drained: it is safe to stop", d.Broker)
	}
	return fmt.Sprintf("draining agent %d: %s and %s to move", d.Broker, say.Count(d.Partitions, "partition"), say.Count(d.Slots, "coordinator slot"))
}

// await waits until nothing is left on an agent that stopping it would make wait.
func (f *drainFlags) await(ctx context.Context, broker int32, stderr io.Writer) (*drainedAgent, error) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	said, speed := "", pace{}
	for {
		s, err := askAgent[admin.ClusterStatus](ctx, http.MethodGet, f.at.addr, "/v1/cluster")
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err == nil {
			d := left(s, broker)
			if d.Stoppable {
				return d, nil
			}
			text := fmt.Sprintf("%s and %s to move", say.Count(d.Partitions, "partition"), say.Count(d.Slots, "coordinator slot"))
			if d.gone {
				text = "it has no session with etcd; it may have records that are nowhere else, so it must come back to be drained"
			} else if d.Partitions == 0 && d.Slots == 0 {
				text = "waiting for journals to have enough members without it"
			}
			if text != said {
				fmt.Fprintf(stderr, "agent %d: %s%s\n", broker, text, speed.note(d.Partitions+d.Slots, time.Now()))
				said = text
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, latef("agent %d is not drained after %v: %s; it is not safe to stop. 'varve cluster health' says what is wrong; --wait-timeout waits longer", broker, f.limit, said)
		}
	}
}

// left is what an agent still has.
func left(s *admin.ClusterStatus, broker int32) *drainedAgent {
	d := &drainedAgent{Broker: broker, Drained: true, gone: true}
	for _, a := range s.Agents {
		if a.Broker == broker {
			d.Partitions, d.Slots, d.gone = a.Partitions, a.Slots, false
		}
	}
	d.Stoppable = !d.gone && d.Partitions == 0 && d.Slots == 0 && !slices.ContainsFunc(s.Journals, func(j admin.JournalStatus) bool {
		return j.Broker != broker && j.State == "open" && needs(j, broker)
	})
	return d
}

// needs reports whether a journal lacks a quorum of live members without an agent.
func needs(j admin.JournalStatus, broker int32) bool {
	others, member := 0, false
	for _, m := range j.Members {
		switch {
		case m.Broker == broker:
			member = true
		case m.Live:
			others++
		}
	}
	return member && others < j.Quorum
}

// isLast reports whether there is no other agent that could take what an agent has.
func isLast(s *admin.ClusterStatus, broker int32) bool {
	known := slices.ContainsFunc(s.Agents, func(a admin.AgentStatus) bool { return a.Broker == broker })
	return known && !slices.ContainsFunc(s.Agents, func(a admin.AgentStatus) bool {
		return a.Broker != broker && !a.Drained && !a.Leaving
	})
}

func brokerID(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, usagef("broker %q: want a broker's number", text)
	}
	return int32(n), nil
}

// brokers completes the numbers of agents in a shell.
func (h *httpFlag) brokers(c *cobra.Command, args []string, _ string) (out []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return h.complete(func(s *admin.ClusterStatus) (names []string) {
		for _, a := range s.Agents {
			names = append(names, fmt.Sprint(a.Broker))
		}
		return names
	})
}

// complete offers names that an agent's picture of the cluster has.
func (h *httpFlag) complete(names func(*admin.ClusterStatus) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := askAgent[admin.ClusterStatus](ctx, http.MethodGet, h.addr, "/v1/cluster")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(s), cobra.ShellCompDirectiveNoFileComp
}
