package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
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
		ask: func(ctx context.Context, adm *adminClient, _ []string) ([]aclRow, error) {
			rules, err := allACLs(ctx, adm)
			if err != nil {
				return nil, err
			}
			chosen := f.selected(rules)
			switch {
			case len(chosen) == 0:
				return nil, notFoundError{"no ACL matches"}
			case !dry:
				return deleteACLs(ctx, adm, chosen)
			}
			rows := []aclRow{}
			for _, b := range chosen {
				rows = append(rows, rowOfACL(b))
			}
			return rows, nil
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

// deleteACLs deletes these and no others, and returns those that were.
func deleteACLs(ctx context.Context, adm *adminClient, bindings []acl.Binding) ([]aclRow, error) {
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, b := range bindings {
		req.Filters = append(req.Filters, kmsg.DeleteACLsRequestFilter{ResourceType: kmsg.ACLResourceType(b.Type), ResourceName: &b.Name, ResourcePatternType: kmsg.ACLResourcePatternType(b.Pattern),
			Principal: &b.Principal, Host: &b.Host, Operation: kmsg.ACLOperation(b.Operation), PermissionType: kmsg.ACLPermissionType(b.Permission)})
	}
	answer, err := req.RequestWith(ctx, adm.wire)
	if err == nil && len(answer.Results) != len(bindings) {
		err = fmt.Errorf("the answer is about %d ACLs, %d were to be deleted", len(answer.Results), len(bindings))
	}
	if err != nil {
		return nil, sayKafka("delete ACLs", err, "")
	}
	rows := []aclRow{}
	var errs []error
	for i, b := range bindings {
		if r := answer.Results[i]; r.ErrorCode != 0 {
			errs = append(errs, sayKafka("delete "+b.String(), kerr.ErrorForCode(r.ErrorCode), orEmpty(r.ErrorMessage)))
			continue
		}
		rows = append(rows, rowOfACL(b))
	}
	return rows, errors.Join(errs...)
}
