package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// aclCreation are the flags of acl create.
type aclCreation struct {
	resourceFlags
	allow, deny           []string
	allowHosts, denyHosts []string
	operations            []string
	pattern               string
	producer, consumer    bool

	bindings []acl.Binding // read
}

func aclCreateCommand() *cobra.Command {
	var f aclCreation
	c := asking[[]aclRow]{
		check: func([]string) error { return f.read() },
		ask:   f.create,
		show:  func(t *table, rows []aclRow) { printACLs(t, rows, "created") },
	}.command(&cobra.Command{
		Use:     "create",
		Aliases: []string{"add"},
		Short:   "Create ACLs",
		Long: `Create an ACL for each combination of a principal, a host, an operation and a resource. One that
is there already is no error. What denies counts more than what allows. Read, write, delete and
alter allow describe as well, alter_configs allows describe_configs. --producer and --consumer stand for the operations that
these need on the topics, groups and transactional ids that are named. Of several kinds of resources each
gets the operations that it has: --operation read,write with a topic and a group lets read and write the
topic, and read the group.`,
		Example: "  varve acl create --allow-principal User:shop --producer --topic orders\n  varve acl create --allow-principal User:billing --consumer --topic orders --group billing\n" +
			"  varve acl create --allow-principal User:alice --operation read --topic orders --group billing\n" +
			"  varve acl create --allow-principal User:etl --operation all --topic etl- --resource-pattern-type prefixed\n" +
			"  varve acl create --deny-principal 'User:*' --deny-host 10.0.0.7 --operation write --topic '*'",
		Args: cobra.NoArgs,
	})
	s := c.Flags()
	f.resourceFlags.add(s)
	s.StringArrayVar(&f.allow, "allow-principal", nil, "a principal that is allowed, as User:alice; User:* is every user; may be repeated")
	s.StringArrayVar(&f.deny, "deny-principal", nil, "a principal that is denied; may be repeated")
	s.StringArrayVar(&f.allowHosts, "allow-host", nil, "an address from which the principals are allowed; default *, all; may be repeated")
	s.StringArrayVar(&f.denyHosts, "deny-host", nil, "an address from which the principals are denied; default *, all; may be repeated")
	s.StringArrayVar(&f.operations, "operation", nil, "read, write, create, delete, alter, describe, cluster_action, describe_configs, alter_configs, idempotent_write, create_tokens, describe_tokens or all; may be repeated")
	s.BoolVar(&f.producer, "producer", false, "what a producer needs: write, describe and create on topics, write and describe on transactional ids")
	s.BoolVar(&f.consumer, "consumer", false, "what a consumer needs: read and describe on topics, read on groups")
	s.StringVar(&f.pattern, "resource-pattern-type", "literal", "literal, or prefixed: resources whose names begin so")
	completeACLFlags(c, "literal", "prefixed")
	return c
}

// read makes bindings of the flags.
func (f *aclCreation) read() error {
	pattern, err := acl.ParsePatternType(f.pattern)
	if err != nil {
		return usageError{err}
	}
	operations, err := operationsNamed(f.operations)
	switch resources := f.resources(); {
	case err != nil:
		return err
	case len(resources) == 0:
		return usagef("a resource is missing: --topic, --group, --cluster, --transactional-id, --delegation-token or --user-principal")
	case len(operations) == 0 && !f.producer && !f.consumer:
		return usagef("--operation is missing, or --producer or --consumer")
	case (f.producer || f.consumer) && len(f.topics) == 0, f.consumer && len(f.groups) == 0:
		return usagef("--producer goes with --topic, --consumer with --topic and --group")
	case f.producer && !f.consumer && len(operations) == 0 && len(f.groups) > 0:
		return usagef("--producer needs no --group: producers have none")
	case len(f.allow)+len(f.deny) == 0:
		return usagef("a principal is missing: --allow-principal or --deny-principal")
	case len(f.allow) == 0 && len(f.allowHosts) > 0, len(f.deny) == 0 && len(f.denyHosts) > 0:
		return usagef("a host needs a principal: --allow-host goes with --allow-principal, --deny-host with --deny-principal")
	}
	for _, op := range operations {
		if !slices.ContainsFunc(f.resources(), func(on acl.Resource) bool { return len(fitting([]acl.Operation{op}, on.Type)) > 0 }) {
			on := f.resources()[0].Type
			return usagef("--operation %v: a %v doesn't have it; it has %v", op, on, acl.Operations(on))
		}
	}
	for _, side := range []struct {
		permission        acl.Permission
		principals, hosts []string
	}{{acl.Allow, f.allow, f.allowHosts}, {acl.Deny, f.deny, f.denyHosts}} {
		principals, err := principalsNamed(side.principals)
		if err != nil {
			return err
		}
		if len(side.hosts) == 0 {
			side.hosts = []string{acl.Wildcard}
		}
		for _, on := range f.resources() {
			for _, principal := range principals {
				for _, host := range side.hosts {
					for _, op := range append(fitting(operations, on.Type), f.roles(on.Type)...) {
						b := acl.Binding{Type: on.Type, Pattern: pattern, Name: on.Name, Principal: principal, Host: host, Operation: op, Permission: side.permission}
						if err := b.Validate(); err != nil {
							return usageError{err}
						}
						if err := matchable(b); err != nil {
							return usageError{err}
						}
						f.bindings = append(f.bindings, b)
					}
				}
			}
		}
	}
	return nil
}

// fitting returns the operations that a type of resource has.
func fitting(operations []acl.Operation, on acl.ResourceType) (out []acl.Operation) {
	for _, op := range operations {
		if op == acl.All || slices.Contains(acl.Operations(on), op) {
			out = append(out, op)
		}
	}
	return out
}

// matchable refuses bindings that no request can match. Kafka's protocol takes them, and a denial
// that denies nothing looks as if it did.
func matchable(b acl.Binding) error {
	_, notAddress := netip.ParseAddr(b.Host)
	kind, _, _ := strings.Cut(b.Principal, ":")
	switch {
	case b.Host != acl.Wildcard && notAddress != nil:
		return fmt.Errorf("host %q: must be an address, or * for all; networks and names match no caller", b.Host)
	case kind != "User":
		return fmt.Errorf("principal %q: must be User:name; callers are of no other type", b.Principal)
	case b.Type == acl.Topic && b.Pattern == acl.Literal && b.Name != acl.Wildcard && strings.Contains(b.Name, "*"):
		return fmt.Errorf("topic %q: no topic has an asterisk in its name; for a prefix say --topic %s --resource-pattern-type prefixed", b.Name, strings.TrimRight(b.Name, "*"))
	}
	return nil
}

// roles are the operations on a type of resource that producers and consumers need, as
// kafka-acls has them.
func (f *aclCreation) roles(on acl.ResourceType) (out []acl.Operation) {
	switch {
	case f.producer && on == acl.Topic:
		out = append(out, acl.Write, acl.Describe, acl.Create)
	case f.producer && on == acl.TransactionalID:
		out = append(out, acl.Write, acl.Describe)
	}
	switch {
	case f.consumer && on == acl.Topic:
		out = append(out, acl.Read, acl.Describe)
	case f.consumer && on == acl.Group:
		out = append(out, acl.Read)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (f *aclCreation) create(ctx context.Context, adm *adminClient, _ []string) ([]aclRow, error) {
	req := kmsg.NewPtrCreateACLsRequest()
	for _, b := range f.bindings {
		req.Creations = append(req.Creations, kmsg.CreateACLsRequestCreation{ResourceType: kmsg.ACLResourceType(b.Type), ResourceName: b.Name, ResourcePatternType: kmsg.ACLResourcePatternType(b.Pattern),
			Principal: b.Principal, Host: b.Host, Operation: kmsg.ACLOperation(b.Operation), PermissionType: kmsg.ACLPermissionType(b.Permission)})
	}
	answer, err := req.RequestWith(ctx, adm.wire)
	if err == nil && len(answer.Results) != len(f.bindings) {
		err = fmt.Errorf("the answer is about %d ACLs, %d were to be created", len(answer.Results), len(f.bindings))
	}
	if err != nil {
		return nil, sayKafka("create ACLs", err, "")
	}
	rows := []aclRow{}
	var errs []error
	for i, b := range f.bindings {
		r := answer.Results[i]
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			errs = append(errs, sayKafka("create "+b.String(), err, orEmpty(r.ErrorMessage)))
			continue
		}
		rows = append(rows, rowOfACL(b))
	}
	return rows, errors.Join(errs...)
}

// orEmpty returns a text that may be absent.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
