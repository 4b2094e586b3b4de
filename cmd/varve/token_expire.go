package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func tokenExpireCommand() *cobra.Command {
	var in time.Duration
	c := asking[*changedToken]{
		names: (*kafkaFlags).tokenIDs,
		check: func([]string) error {
			if in < 0 {
				return usagef("--in is %v: must be 0 or more", in)
			}
			return nil
		},
		ask: func(ctx context.Context, adm *adminClient, args []string) (*changedToken, error) {
			what := "expire token " + args[0]
			found, err := findToken(ctx, adm, what, args[0])
			if err != nil {
				return nil, err
			}
			period := in
			if in == 0 {
				period = -time.Millisecond
			}
			expires, err := adm.ExpireDelegationToken(ctx, found.HMAC, period)
			if err != nil {
				return nil, sayToken(what, err)
			}
			return &changedToken{args[0], expires}, nil
		},
		show: func(t *table, r *changedToken) {
			if in == 0 {
				t.row("token " + r.ID + " was deleted")
				return
			}
			t.row("token " + r.ID + " expires at " + sayTime(r.Expires))
		},
	}.command(&cobra.Command{
		Use:     "expire ID",
		Aliases: []string{"delete", "rm"},
		Short:   "Delete a delegation token, or have it expire at another time",
		Long: `Delete a delegation token, or have it expire at another time. Nobody logs in by a deleted token.
Connections that logged in by it before stay until the time at which it would have expired then.`,
		Example: "  varve token expire T4kGxTQ_Qa-3k0hbIT0pPw\n  varve token expire T4kGxTQ_Qa-3k0hbIT0pPw --in 10m",
		Args:    cobra.ExactArgs(1),
	})
	c.Flags().DurationVar(&in, "in", 0, "have it expire so much later, instead of deleting it; never after the end that it was created with")
	return c
}
