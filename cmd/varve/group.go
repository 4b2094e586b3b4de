package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func groupCommand() *cobra.Command {
	return parent("group", "Look at, reset and delete consumer groups",
		groupListCommand(), groupDescribeCommand(), groupResetCommand(), groupSeekCommand(), groupOffsetDeleteCommand(), groupDeleteCommand())
}

// groupRow is a group in a list.
type groupRow struct {
	Group        string `json:"group"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type"`
	Coordinator  int32  `json:"coordinator"`
}

// groupStates are those of classic groups.
var groupStates = []string{"Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead"}

// checkStates refuses a state that no group can have, and writes the others as brokers do.
func checkStates(states []string) error {
	for i, s := range states {
		at := slices.IndexFunc(groupStates, func(known string) bool { return strings.EqualFold(known, strings.TrimSpace(s)) })
		if at < 0 {
			return usagef("--state is %q: must be of %s", s, strings.Join(groupStates, ", "))
		}
		states[i] = groupStates[at]
	}
	return nil
}

func groupListCommand() *cobra.Command {
	var states []string
	c := asking[[]groupRow]{
		check: func([]string) error { return checkStates(states) },
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]groupRow, error) {
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
			t.row("GROUP", "STATE", "PROTOCOL", "COORDINATOR")
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
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states: "+strings.Join(groupStates, ", "))
	completeValues(c, "state", groupStates...)
	return c
}
