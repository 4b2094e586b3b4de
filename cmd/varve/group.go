package main

import (
	"github.com/spf13/cobra"
)

func groupCommand() *cobra.Command {
	return parent("group", "Look at, reset and delete consumer groups",
		groupListCommand(), groupDescribeCommand(), groupResetCommand(), groupDeleteCommand())
}

// groupRow is a group in a list.
type groupRow struct {
	Group        string `json:"group"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type"`
	Coordinator  int32  `json:"coordinator"`
}

func groupListCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	var states []string
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List consumer groups",
		Example: "  varve group list\n  varve group list --state Empty",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			adm, ctx, done, err := kafka.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			found, err := adm.ListGroups(ctx, states...)
			if err != nil {
				return sayKafka("list groups", err, "")
			}
			rows := []groupRow{}
			for _, g := range found.Sorted() {
				rows = append(rows, groupRow{g.Group, g.State, g.ProtocolType, g.Coordinator})
			}
			return out.write(c.OutOrStdout(), rows, func(t *table) {
				t.row("GROUP", "STATE", "TYPE", "COORDINATOR")
				for _, r := range rows {
					t.row(r.Group, orDash(r.State), orDash(r.ProtocolType), number(r.Coordinator))
				}
			})
		},
	}
	kafka.add(c.Flags())
	out.add(c, []groupRow(nil))
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states: Stable, Empty, PreparingRebalance, CompletingRebalance, Dead")
	return c
}
