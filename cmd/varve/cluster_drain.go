package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"varve/agent"
)

// drainedAgent is what cluster drain and undrain tell.
type drainedAgent struct {
	Broker  int32 `json:"broker"`
	Drained bool  `json:"drained"`
}

func clusterDrainCommand() *cobra.Command {
	return drainCommand(&cobra.Command{
		Use:   "drain BROKER",
		Short: "Let an agent give everything away",
		Long: `Let an agent give all its partitions and coordinator slots away, and be given none, until
'varve cluster undrain'. Journals are no longer kept on it where others can keep them. It
goes on serving readers and stays in the cluster. It returns when that is asked for;
'varve cluster status' shows what the agent still has.`,
		Example: "  varve cluster drain 3",
	}, true)
}

func clusterUndrainCommand() *cobra.Command {
	return drainCommand(&cobra.Command{
		Use:     "undrain BROKER",
		Short:   "Let a drained agent take its share again",
		Long:    `Let an agent that was drained take its share of partitions and coordinator slots again.`,
		Example: "  varve cluster undrain 3",
	}, false)
}

func drainCommand(c *cobra.Command, drained bool) *cobra.Command {
	var at httpFlag
	var out jsonFlag
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		broker, err := brokerID(args[0])
		if err != nil {
			return err
		}
		verb, said := "undrain", "takes its share again"
		if drained {
			verb, said = "drain", "gives everything away"
		}
		if _, err := askAgent[struct{}](c.Context(), http.MethodPost, at.addr, fmt.Sprintf("/v1/agents/%d/%s", broker, verb)); err != nil {
			return err
		}
		if drained && alone(c.Context(), at.addr, broker) {
			fmt.Fprintln(c.ErrOrStderr(), "no other agent can take it: agent", broker, "serves what it has until one can")
		}
		return out.write(c.OutOrStdout(), &drainedAgent{broker, drained}, func(t *table) { t.row(fmt.Sprintf("agent %d %s", broker, said)) })
	}
	at.add(c)
	out.add(c, drainedAgent{})
	return c
}

// alone says whether nobody is there who could take what a drained agent has. When the
// cluster can't be asked that is not known, and not said.
func alone(ctx context.Context, addr string, broker int32) bool {
	s, err := askAgent[agent.ClusterStatus](ctx, http.MethodGet, addr, "/v1/cluster")
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(s.Agents, func(a agent.AgentStatus) bool {
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
