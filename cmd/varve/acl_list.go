package main

import (
	"context"

	"github.com/spf13/cobra"
)

func aclListCommand() *cobra.Command {
	var f aclFilter
	c := asking[[]aclRow]{
		check: func([]string) error { return f.read() },
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]aclRow, error) {
			rules, err := allACLs(ctx, adm)
			if err != nil {
				return nil, err
			}
			rows := []aclRow{}
			for _, b := range f.selected(rules) {
				rows = append(rows, rowOfACL(b))
			}
			return rows, nil
		},
		show: func(t *table, rows []aclRow) { printACLs(t, rows) },
	}.command(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List ACLs",
		Example: "  varve acl list\n  varve acl list --principal User:alice\n  varve acl list --topic orders --resource-pattern-type match",
		Args:    cobra.NoArgs,
	})
	f.add(c, "any")
	return c
}
