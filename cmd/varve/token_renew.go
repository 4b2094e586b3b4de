package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// changedToken is what a change of a token tells.
type changedToken struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}

func tokenRenewCommand() *cobra.Command {
	var period time.Duration
	c := asking[*changedToken]{
		names: (*kafkaFlags).tokenIDs,
		check: func([]string) error {
			if period < 0 {
				return usagef("--for is %v: must be 0 or more", period)
			}
			return nil
		},
		ask: func(ctx context.Context, adm *adminClient, args []string) (*changedToken, error) {
			what := "renew token " + args[0]
			found, err := findToken(ctx, adm, what, args[0])
			if err != nil {
				return nil, err
			}
			if period == 0 {
				period = -time.Millisecond
			}
			expires, err := adm.RenewDelegationToken(ctx, found.HMAC, period)
			if err != nil {
				return nil, sayToken(what, err)
			}
			return &changedToken{args[0], expires}, nil
		},
		show: func(t *table, r *changedToken) {
			t.row("token " + r.ID + " expires at " + sayTime(r.Expires))
		},
	}.command(&cobra.Command{
		Use:     "renew ID",
		Short:   "Have a delegation token expire later",
		Long:    "Have a delegation token expire later, but not after the end that it was created with.",
		Example: "  varve token renew T4kGxTQ_Qa-3k0hbIT0pPw\n  varve token renew T4kGxTQ_Qa-3k0hbIT0pPw --for 2h",
		Args:    cobra.ExactArgs(1),
	})
	c.Flags().DurationVar(&period, "for", 0, "how long it can be used from now on; 0: as long as the agents allow (security.delegation_tokens.expiry)")
	return c
}
