package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/auth/quota"
)

func quotaDeleteCommand() *cobra.Command {
	var f entityFlags
	c := asking[[]quotaRow]{
		check: func(keys []string) error {
			for _, k := range keys {
				if _, ok := quota.ParseKey(k); !ok {
					return usagef("%q: must be one of %s", k, strings.Join(quotaKeys(""), ", "))
				}
			}
			return f.one()
		},
		ask: func(ctx context.Context, adm *adminClient, keys []string) ([]quotaRow, error) {
			return deleteQuotas(ctx, adm, &f, keys)
		},
		show: func(t *table, rows []quotaRow) {
			for _, r := range rows {
				for _, v := range r.Quotas {
					t.row("quota " + v.Key + " of " + r.entity() + " deleted")
				}
			}
		},
	}.command(&cobra.Command{
		Use:     "delete [KEY...]",
		Aliases: []string{"rm"},
		Short:   "Delete quotas",
		Long:    "Delete quotas of a user, a client id, both together, or an address: those with the keys, or all of it.",
		Example: "  varve quota delete --name user=alice\n  varve quota delete producer_byte_rate --default user",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return quotaKeys(""), cobra.ShellCompDirectiveNoFileComp
		},
	})
	f.add(c)
	return c
}

// deleteQuotas deletes an entity's quotas, and returns those that were there.
func deleteQuotas(ctx context.Context, adm *adminClient, f *entityFlags, keys []string) ([]quotaRow, error) {
	what := "delete quotas of " + f.entity.String()
	rows, err := describeQuotas(ctx, adm, what, true, f.components())
	if err != nil {
		return nil, err
	}
	var ops []kadm.AlterClientQuotaOp
	for i := range rows {
		rows[i].Quotas = slices.DeleteFunc(rows[i].Quotas, func(v quotaValue) bool { return len(keys) > 0 && !slices.Contains(keys, v.Key) })
		for _, v := range rows[i].Quotas {
			ops = append(ops, kadm.AlterClientQuotaOp{Key: v.Key, Remove: true})
		}
	}
	if len(ops) == 0 {
		return nil, notFoundError{what + ": there are none; 'varve quota list' shows what there is"}
	}
	if err := alterQuotas(ctx, adm, what, f.entity, ops); err != nil {
		return nil, err
	}
	return rows, nil
}
