package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/auth/quota"
)

func quotaSetCommand() *cobra.Command {
	var f entityFlags
	var ops []kadm.AlterClientQuotaOp
	c := asking[[]quotaRow]{
		check: func(args []string) (err error) {
			if ops, err = quotaOps(args); err != nil {
				return err
			}
			return f.one()
		},
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]quotaRow, error) {
			what := "set quotas of " + f.entity.String()
			if err := alterQuotas(ctx, adm, what, f.entity, ops); err != nil {
				return nil, err
			}
			return describeQuotas(ctx, adm, what, true, f.components())
		},
		show: printQuotas,
	}.command(&cobra.Command{
		Use:   "set KEY=VALUE...",
		Short: "Set quotas",
		Long: `Set quotas of a user, a client id, both together, or an address. The most specific quota holds for a
client. Keys are producer_byte_rate and consumer_byte_rate (bytes per second, KiB, MiB and GiB are
understood), request_percentage (of the time of one thread), controller_mutation_rate (partitions
created and deleted per second), and for addresses connection_creation_rate (connections per second).
Each agent counts for itself.`,
		Example: "  varve quota set producer_byte_rate=10MiB consumer_byte_rate=20MiB --name user=alice\n  varve quota set request_percentage=50 --default user\n  varve quota set producer_byte_rate=1MiB --name user=alice --default client-id\n  varve quota set connection_creation_rate=20 --default ip",
		Args:    cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return quotaKeys("="), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		},
	})
	f.add(c)
	return c
}

// quotaOps reads KEY=VALUE arguments.
func quotaOps(args []string) (ops []kadm.AlterClientQuotaOp, err error) {
	for _, text := range args {
		key, number, ok := strings.Cut(text, "=")
		if _, known := quota.ParseKey(key); !ok || !known {
			return nil, usagef("%q: want KEY=VALUE with a key of %s", text, strings.Join(quotaKeys(""), ", "))
		}
		value, ok := quotaNumber(number)
		if !ok {
			return nil, usagef("%q: the value must be a number above 0; 'varve quota delete' takes a quota away", text)
		}
		ops = append(ops, kadm.AlterClientQuotaOp{Key: key, Value: value})
	}
	return ops, nil
}
