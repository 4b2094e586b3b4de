package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"varve/health"
)

func clusterForgetCommand() *cobra.Command {
	var at httpFlag
	c := &cobra.Command{
		Use:   "forget BROKER",
		Short: "Stop expecting an agent that won't come back",
		Long: `Stop expecting an agent that was stopped, or died, and won't come back. Nothing else
changes: what its disk held and the bucket lacks stays wanted ('varve cluster accept-loss'
gives that up). An agent that was drained before it was stopped isn't expected anyway.
Should it come back after all, it is expected again.`,
		Example: "  varve cluster forget 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			broker, err := brokerID(args[0])
			if err != nil {
				return err
			}
			if _, err := askAgent[struct{}](c.Context(), http.MethodPost, at.addr, fmt.Sprintf("/v1/agents/%d/forget", broker)); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "agent %d is no longer expected\n", broker)
			return nil
		},
	}
	at.add(c)
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		a, err := askHealth(ctx, at.addr)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return away(a), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// away names the agents that are not there.
func away(a *health.Answer) (names []string) {
	for _, x := range a.Agents {
		if x.State == "gone" || x.State == "stopped" {
			names = append(names, fmt.Sprint(x.Broker))
		}
	}
	return names
}
