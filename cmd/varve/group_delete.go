package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// deletedGroup is what group delete tells.
type deletedGroup struct {
	Group   string `json:"group"`
	Deleted bool   `json:"deleted"`
}

func groupDeleteCommand() *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	c := &cobra.Command{
		Use:               "delete NAME...",
		Aliases:           []string{"rm"},
		Short:             "Delete groups without members, with their offsets",
		Example:           "  varve group delete readers",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: kafka.groupNames,
		RunE: func(c *cobra.Command, names []string) error {
			adm, ctx, done, err := kafka.admin(c.Context())
			if err != nil {
				return err
			}
			defer done()
			answers, err := adm.DeleteGroups(ctx, names...)
			if err != nil {
				return sayKafka("delete groups", err, "")
			}
			rows := []deletedGroup{}
			var errs []error
			for _, a := range answers.Sorted() {
				errs = append(errs, sayKafka("delete group "+a.Group, a.Err, a.ErrMessage))
				rows = append(rows, deletedGroup{a.Group, a.Err == nil})
			}
			errs = append(errs, out.write(c.OutOrStdout(), rows, func(t *table) {
				for _, r := range rows {
					if r.Deleted {
						t.row("group " + r.Group + " deleted")
					}
				}
			}))
			return errors.Join(errs...)
		},
	}
	kafka.add(c.Flags())
	out.add(c, []deletedGroup(nil))
	return c
}
