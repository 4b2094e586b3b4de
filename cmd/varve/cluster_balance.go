package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/internal/say"
)

func clusterBalanceCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	c := &cobra.Command{
		Use:   "balance",
		Short: "Give all agents equally many partitions now",
		Long: `Ask for the moves after which all agents have equally many partitions. The cluster does
this by itself after an agent came, went, or was drained, if the difference is large; where
an operator put partitions since then they stay. It returns when the moves are asked for;
'varve cluster status' shows how many are still under way.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := askAgent[admin.Balanced](c.Context(), http.MethodPost, at.addr, "/v1/cluster/balance")
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), b, func(t *table) {
				t.row(fmt.Sprintf("%s being moved", say.Count(b.Moves, "partition is", "partitions are")))
			})
		},
	}
	at.add(c)
	out.add(c, admin.Balanced{})
	return c
}
