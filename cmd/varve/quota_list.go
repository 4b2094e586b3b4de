package main

import (
	"context"

	"github.com/spf13/cobra"
)

func quotaListCommand() *cobra.Command {
	var f entityFlags
	var strict bool
	c := asking[[]quotaRow]{
		check: func([]string) error { return f.read() },
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]quotaRow, error) {
			return describeQuotas(ctx, adm, "list quotas", strict, f.components())
		},
		show: printQuotas,
	}.command(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "describe"},
		Short:   "List quotas",
		Long:    "List all quotas, or those of the entities that the flags name.",
		Example: "  varve quota list\n  varve quota list --name user=alice\n  varve quota list --name user=alice --strict",
		Args:    cobra.NoArgs,
	})
	f.add(c)
	c.Flags().BoolVar(&strict, "strict", false, "only of what is named; without it also of a user together with a client id")
	return c
}
