package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
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
	var states []string
	c := asking[[]groupRow]{
		ask: func(ctx context.Context, adm *kadm.Client, _ []string) ([]groupRow, error) {
			found, err := adm.ListGroups(ctx, states...)
			if err != nil {
				return nil, sayKafka("list groups", err, "")
			}
			rows := []groupRow{}
			for _, g := range found.Sorted() {
				rows = append(rows, groupRow{g.Group, g.State, g.ProtocolType, g.Coordinator})
			}
			return rows, nil
		},
		show: func(t *table, rows []groupRow) {
			t.row("GROUP", "STATE", "TYPE", "COORDINATOR")
			for _, r := range rows {
				t.row(r.Group, orDash(r.State), orDash(r.ProtocolType), number(r.Coordinator))
			}
		},
	}.command(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List consumer groups",
		Example: "  varve group list\n  varve group list --state Empty",
		Args:    cobra.NoArgs,
	})
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states: Stable, Empty, PreparingRebalance, CompletingRebalance, Dead")
	return c
}
