package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func tokenListCommand() *cobra.Command {
	var hmac bool
	var owners []kadm.Principal
	c := asking[[]tokenRow]{
		check: func(args []string) (err error) {
			owners, err = principals(args)
			return err
		},
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]tokenRow, error) {
			all, err := adm.DescribeDelegationTokens(ctx, owners...)
			if err != nil {
				return nil, sayToken("list delegation tokens", err)
			}
			rows := []tokenRow{}
			for _, t := range all {
				rows = append(rows, rowOfToken(t, hmac))
			}
			return rows, nil
		},
		show: func(t *table, rows []tokenRow) {
			head := []any{"TOKEN", "OWNER", "RENEWERS", "EXPIRES", "AT MOST UNTIL"}
			if hmac {
				head = append(head, "HMAC")
			}
			t.row(head...)
			for _, r := range rows {
				cells := []any{r.ID, r.Owner, orDash(strings.Join(r.Renewers, " ")), sayTime(r.Expires), sayTime(r.Max)}
				if hmac {
					cells = append(cells, r.HMAC)
				}
				t.row(cells...)
			}
		},
	}.command(&cobra.Command{
		Use:     "list [PRINCIPAL...]",
		Aliases: []string{"ls", "describe"},
		Short:   "List delegation tokens",
		Long: `List the delegation tokens that principals own or may renew, or all. Shown are one's own, those that
one may renew, and those that one has a right to see: DESCRIBE on the token, or DESCRIBE_TOKENS on its
owner.`,
		Example: "  varve token list\n  varve token list alice",
		Args:    cobra.ArbitraryArgs,
	})
	c.Flags().BoolVar(&hmac, "hmac", false, "show the HMACs as well; who has a token's HMAC can log in as its owner")
	return c
}
