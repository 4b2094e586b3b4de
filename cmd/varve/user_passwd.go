package main

import (
	"context"

	"github.com/spf13/cobra"
)

func userPasswdCommand() *cobra.Command {
	var p newPassword
	c := asking[[]userRow]{
		names: (*kafkaFlags).userNames,
		check: p.check,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]userRow, error) {
			rows, err := describeUsers(ctx, adm, names[0])
			if err != nil {
				return nil, err
			}
			mechanisms := p.mechanisms
			for _, r := range rows {
				for _, m := range r.Mechanisms {
					if mechanismNumbers[m.Mechanism] != 0 {
						mechanisms = append(mechanisms, m.Mechanism) // the old password must not stay good for one
					}
				}
			}
			if err := alterUser(ctx, adm, "change the password of user "+names[0], nil, p.settings(names[0], mechanisms)); err != nil {
				return nil, err
			}
			return describeUsers(ctx, adm, names[0])
		},
		show: func(t *table, rows []userRow) {
			for _, r := range rows {
				t.row("password of user " + r.User + " changed: " + r.mechanisms())
			}
		},
	}.command(&cobra.Command{
		Use:   "passwd NAME",
		Short: "Change a user's password",
		Long: `Change a user's password, for every mechanism that it has one for, and for those of --mechanism.
Connections that are open stay so until they authenticate again (sasl.max_reauth of the listener).`,
		Example: "  varve user passwd alice",
		Args:    cobra.ExactArgs(1),
	})
	p.add(c, "those that the user has")
	return c
}
