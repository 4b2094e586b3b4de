package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func aclDeleteCommand() *cobra.Command {
	var f aclFilter
	var all, dry bool
	c := asking[[]aclRow]{
		check: func([]string) error {
			if all == f.narrows() {
				return usagef("say which ACLs, as by --topic or --principal, or --all")
			}
			return f.read()
		},
		ask: func(ctx context.Context, adm *kadm.Client, _ []string) ([]aclRow, error) {
			rules, err := allACLs(ctx, adm)
			if err != nil {
				return nil, err
			}
			rows := []aclRow{}
			var errs []error
			for _, b := range f.selected(rules) {
				exactly := builderOf(b)
				if exactly == nil {
					errs = append(errs, errors.New("delete "+b.String()+": this command doesn't know ACLs of this type"))
					continue
				}
				if !dry {
					err = deleteACL(ctx, adm, exactly)
				}
				if err != nil {
					errs = append(errs, sayKafka("delete "+b.String(), err, ""))
					continue
				}
				rows = append(rows, rowOfACL(b))
			}
			if len(rows)+len(errs) == 0 {
				return nil, notFoundError{"no ACL matches"}
			}
			return rows, errors.Join(errs...)
		},
		show: func(t *table, rows []aclRow) {
			result := "deleted"
			if dry {
				result = "would be deleted"
			}
			printACLs(t, rows, result)
		},
	}.command(&cobra.Command{
		Use:     "delete",
		Aliases: []string{"rm", "remove"},
		Short:   "Delete ACLs",
		Long:    "Delete the ACLs that the flags select: those that match all of them. --dry-run shows which these are.",
		Example: "  varve acl delete --principal User:alice --topic orders\n  varve acl delete --principal User:alice --resource-pattern-type any --dry-run",
		Args:    cobra.NoArgs,
	})
	f.add(c, "literal")
	c.Flags().BoolVar(&all, "all", false, "all ACLs of the type of pattern")
	c.Flags().BoolVar(&dry, "dry-run", false, "only show what would be deleted")
	return c
}

// deleteACL deletes what one filter matches.
func deleteACL(ctx context.Context, adm *kadm.Client, b *kadm.ACLBuilder) error {
	answers, err := adm.DeleteACLs(ctx, b)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}
