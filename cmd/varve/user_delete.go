package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// deletedUser is what user delete tells.
type deletedUser struct {
	User    string `json:"user"`
	Deleted bool   `json:"deleted"`
	Tokens  int    `json:"tokens"` // that it still has, and that may be seen
}

func userDeleteCommand() *cobra.Command {
	return asking[[]deletedUser]{
		names: (*kafkaFlags).userNames,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]deletedUser, error) {
			rows := []deletedUser{}
			var errs []error
			for _, name := range names {
				err := deleteUser(ctx, adm, name)
				errs = append(errs, err)
				r := deletedUser{User: name, Deleted: err == nil}
				if r.Deleted {
					r.Tokens = tokensOfUser(ctx, adm, name)
				}
				rows = append(rows, r)
			}
			return rows, errors.Join(errs...)
		},
		show: func(t *table, rows []deletedUser) {
			for _, r := range rows {
				if r.Deleted {
					t.row("user " + r.User + " deleted")
					printTokensOfUser(t, r.User, r.Tokens, true)
				}
			}
		},
	}.command(&cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete users",
		Long: `Delete users with their passwords. Connections that are open stay so until they authenticate
again (sasl.max_reauth of the listener). Delegation tokens of the users stay good until they expire:
it says how many there are, if they may be seen.`,
		Example: "  varve user delete alice",
		Args:    cobra.MinimumNArgs(1),
	})
}

func deleteUser(ctx context.Context, adm *adminClient, name string) error {
	found, err := describeUsers(ctx, adm, name)
	if err != nil {
		return err
	}
	var removals []kadm.DeleteSCRAM
	for _, u := range found {
		for _, m := range u.Mechanisms {
			removals = append(removals, kadm.DeleteSCRAM{User: name, Mechanism: mechanismNumbers[m.Mechanism]})
		}
	}
	return alterUser(ctx, adm, "delete user "+name, removals, nil)
}
