package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// deletedGroup is what group delete tells.
type deletedGroup struct {
	Group   string `json:"group"`
	Deleted bool   `json:"deleted"`
}

func groupDeleteCommand() *cobra.Command {
	return asking[[]deletedGroup]{
		names: (*kafkaFlags).groupNames,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]deletedGroup, error) {
			answers, err := adm.DeleteGroups(ctx, names...)
			if err != nil {
				return nil, sayKafka("delete groups", err, "")
			}
			rows := []deletedGroup{}
			var errs []error
			for _, a := range answers.Sorted() {
				errs = append(errs, sayKafka("delete group "+a.Group, a.Err, a.ErrMessage))
				rows = append(rows, deletedGroup{a.Group, a.Err == nil})
			}
			return rows, errors.Join(errs...)
		},
		show: func(t *table, rows []deletedGroup) {
			for _, r := range rows {
				if r.Deleted {
					t.row("group " + r.Group + " deleted")
				}
			}
		},
	}.command(&cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete groups without members, with their offsets",
		Example: "  varve group delete readers",
		Args:    cobra.MinimumNArgs(1),
	})
}
