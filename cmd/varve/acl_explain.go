package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/auth/acl"
)

// aclExplanation is what acl explain tells.
type aclExplanation struct {
	Allowed   bool     `json:"allowed"`
	Reason    string   `json:"reason"`
	Rule      *aclRow  `json:"rule,omitempty"` // that decides
	Others    []aclRow `json:"others"`         // that apply to the resource
	Principal string   `json:"principal"`
	Host      string   `json:"host"`
	Except    []string `json:"except_hosts"` // without a host: those from which the answer is another one
	Operation string   `json:"operation"`
	Resource  string   `json:"resource"`
	Unknown   string   `json:"unknown,omitempty"` // what could not be found out
}

func aclExplainCommand() *cobra.Command {
	var on resourceFlags
	var host string
	var denied bool
	var asked struct {
		principal string
		op        acl.Operation
		resource  acl.Resource
	}
	c := asking[*aclExplanation]{
		check: func(args []string) (err error) {
			if asked.principal, err = principalNamed(args[0]); err != nil {
				return err
			}
			if asked.op, err = acl.ParseOperation(args[1]); err != nil || asked.op <= acl.All {
				return usagef("operation %q: want one operation: %s", args[1], "read, write, create, delete, alter, describe, cluster_action, describe_configs, alter_configs or idempotent_write")
			}
			all := on.resources()
			if len(all) != 1 {
				return usagef("name one resource: --topic, --group, --cluster, --transactional-id, --delegation-token or --user-principal")
			}
			asked.resource = all[0]
			return nil
		},
		ask: func(ctx context.Context, adm *adminClient, _ []string) (*aclExplanation, error) {
			rules, err := allACLs(ctx, adm)
			if err != nil {
				return nil, err
			}
			policy, unknown := policyOf(ctx, adm)
			e := explain(policy, unknown, rules, asked.principal, acl.CanonicalHost(host), asked.op, asked.resource)
			denied = !e.Allowed
			return e, nil
		},
		show: printExplanation,
	}.command(&cobra.Command{
		Use:   "explain PRINCIPAL OPERATION",
		Short: "Say why a principal is allowed or denied an operation",
		Long: `Say whether a principal is allowed an operation on a resource, and by which ACL, as an agent with
security.authorizer acl decides. The ACLs are those that the agent that is asked knows, super users those of its settings.
The exit code is 1 if it is denied.`,
		Example: "  varve acl explain User:alice read --topic orders\n  varve acl explain alice write --topic orders --host 10.0.0.7",
		Args:    cobra.ExactArgs(2),
	})
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := run(c, args); err != nil || !denied {
			return err
		}
		return quietError{exitFailed}
	}
	on.add(c.Flags())
	c.Flags().StringVar(&host, "host", "", "the address from which the principal asks; without it ACLs for single hosts don't count")
	return c
}

// policyOf reads the settings that decide beside ACLs. unknown says what could not be read.
func policyOf(ctx context.Context, adm *adminClient) (_ *acl.Policy, unknown string) {
	const both = "super users and allow_everyone_if_no_acl_found are not known"
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil || len(meta.Brokers) == 0 {
		return acl.NewPolicy(nil, false), both
	}
	answers, err := adm.DescribeBrokerConfigs(ctx, meta.Brokers.NodeIDs()...)
	if err != nil {
		return acl.NewPolicy(nil, false), both + ": " + sayKafka("read the settings of brokers", err, "").Error()
	}
	var supers, everyone []string
	for _, a := range answers {
		if a.Err != nil {
			return acl.NewPolicy(nil, false), both + ": " + sayKafka("read the settings of broker "+a.Name, a.Err, "").Error()
		}
		supers, everyone = append(supers, valueOf(a, "super.users")), append(everyone, valueOf(a, "allow.everyone.if.no.acl.found"))
	}
	if slices.Sort(supers); len(slices.Compact(slices.Clone(supers))) > 1 {
		unknown = "brokers have different super users; those of the first count here"
	}
	if slices.Sort(everyone); len(slices.Compact(slices.Clone(everyone))) > 1 {
		unknown = "brokers have different settings of allow_everyone_if_no_acl_found; false counts here"
	}
	return acl.NewPolicy(strings.Split(supers[0], ";"), everyone[0] == "true"), unknown
}

func valueOf(r kadm.ResourceConfig, name string) string {
	for _, c := range r.Configs {
		if c.Key == name && c.Value != nil {
			return *c.Value
		}
	}
	return ""
}

func explain(p *acl.Policy, unknown string, rules *acl.Rules, principal, host string, op acl.Operation, on acl.Resource) *aclExplanation {
	d := p.Decide(rules, principal, host, op, on)
	e := &aclExplanation{Allowed: d.Allowed, Principal: principal, Host: host, Operation: op.String(), Resource: on.Type.String() + ":" + on.Name, Others: []aclRow{}, Unknown: unknown}
	switch d.Why {
	case acl.BySuper:
		e.Reason = "it is a super user"
	case acl.ByNoRules:
		if acl.NeedsRule(on.Type) {
			e.Reason = "no ACL is for this resource, and for users and delegation tokens allow_everyone_if_no_acl_found doesn't count"
			break
		}
		e.Reason = fmt.Sprintf("no ACL is for this resource, and allow_everyone_if_no_acl_found is %v", d.Allowed)
	case acl.ByDefault:
		e.Reason = "ACLs are for this resource, and none of them allows it"
	case acl.ByRule:
		row := rowOfACL(d.Rule)
		e.Rule = &row
		switch {
		case d.Rule.Permission == acl.Deny:
			e.Reason = "an ACL denies it, which counts more than any that allows it"
		case d.Rule.Operation != op && d.Rule.Operation != acl.All:
			e.Reason = fmt.Sprintf("an ACL allows %v, which implies %v", d.Rule.Operation, op)
		default:
			e.Reason = "an ACL allows it"
		}
	}
	e.Except = []string{}
	for _, b := range rules.Select(acl.Filter{Type: on.Type, Pattern: acl.Match, Name: &on.Name, Operation: acl.AnyOperation, Permission: acl.AnyPermission}) {
		if d.Why != acl.ByRule || b != d.Rule {
			e.Others = append(e.Others, rowOfACL(b))
		}
		if host == "" && b.Host != acl.Wildcard && !slices.Contains(e.Except, b.Host) && p.Decide(rules, principal, b.Host, op, on).Allowed != d.Allowed {
			e.Except = append(e.Except, b.Host)
		}
	}
	return e
}

func printExplanation(t *table, e *aclExplanation) {
	verdict := "denied"
	if e.Allowed {
		verdict = "allowed"
	}
	from := ""
	if e.Host != "" {
		from = " from " + e.Host
	}
	t.row(fmt.Sprintf("%s: %s may %s%s %s%s, because %s", verdict, e.Principal, map[bool]string{false: "not "}[e.Allowed], strings.ToLower(e.Operation), e.Resource, from, e.Reason))
	if len(e.Except) > 0 {
		t.row(fmt.Sprintf("%s from %s, by ACLs for these hosts alone", map[bool]string{true: "but not", false: "but"}[e.Allowed], strings.Join(e.Except, ", ")))
	}
	if e.Rule != nil {
		t.gap()
		printACLs(t, []aclRow{*e.Rule}, "decides")
	}
	if len(e.Others) > 0 {
		t.gap()
		t.row("other ACLs for this resource:")
		printACLs(t, e.Others)
	}
	if e.Unknown != "" {
		t.gap()
		t.row("note: " + e.Unknown)
	}
}
