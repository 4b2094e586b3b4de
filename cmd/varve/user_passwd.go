package main

import (
	"context"

	"github.com/spf13/cobra"
)

// changedUser is what user passwd tells.
type changedUser struct {
	User       string    `json:"user"`
	Mechanisms []userHas `json:"mechanisms"`
	Tokens     int       `json:"tokens"` // that may be seen
}

func userPasswdCommand() *cobra.Command {
	var p newPassword
	c := asking[[]changedUser]{
		names: (*kafkaFlags).userNames,
		check: p.check,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]changedUser, error) {
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
			rows, err = describeUsers(ctx, adm, names[0])
			changed := []changedUser{}
			for _, r := range rows {
				changed = append(changed, changedUser{r.User, r.Mechanisms, tokensOfUser(ctx, adm, r.User)})
			}
			return changed, err
		},
		show: func(t *table, rows []changedUser) {
			for _, r := range rows {
				t.row("password of user " + r.User + " changed: " + userRow{r.User, r.Mechanisms}.mechanisms())
				printTokensOfUser(t, r.User, r.Tokens, false)
			}
		},
	}.command(&cobra.Command{
		Use:   "passwd NAME",
		Short: "Change a user's password",
		Long: `Change a user's password, for every mechanism that it has one for, and for those of --mechanism.
Connections that are open stay so until they authenticate again (sasl.max_reauth of the listener).
Delegation tokens of the user stay good until they expire: it says how many there are, if they may be seen.`,
		Example: "  varve user passwd alice",
		Args:    cobra.ExactArgs(1),
	})
	p.add(c, "those that the user has")
	return c
}
