package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/auth/acl"
)

func aclCommand() *cobra.Command {
	return parent("acl", "Create, list, delete and explain ACLs", aclCreateCommand(), aclListCommand(), aclDeleteCommand(), aclExplainCommand())
}

// aclRow is a binding.
type aclRow struct {
	Permission string `json:"permission"`
	Principal  string `json:"principal"`
	Host       string `json:"host"`
	Operation  string `json:"operation"`
	Type       string `json:"resource_type"`
	Pattern    string `json:"pattern_type"`
	Name       string `json:"resource_name"`
}

func rowOfACL(b acl.Binding) aclRow {
	return aclRow{b.Permission.String(), b.Principal, b.Host, b.Operation.String(), b.Type.String(), b.Pattern.String(), b.Name}
}

func printACLs(t *table, rows []aclRow, end ...any) {
	if len(rows) == 0 {
		return
	}
	t.row("PERMISSION", "PRINCIPAL", "HOST", "OPERATION", "RESOURCE", "PATTERN", "NAME")
	for _, r := range rows {
		t.row(append([]any{r.Permission, r.Principal, r.Host, r.Operation, r.Type, r.Pattern, r.Name}, end...)...)
	}
}

// resourceFlags name resources, as kafka-acls does.
type resourceFlags struct {
	topics, groups, transactionalIDs, tokens, users []string
	cluster                                         bool
}

func (f *resourceFlags) add(s *pflag.FlagSet) {
	s.StringArrayVarP(&f.topics, "topic", "t", nil, "a topic; * is every topic; may be repeated")
	s.StringArrayVarP(&f.groups, "group", "g", nil, "a group; may be repeated")
	s.BoolVar(&f.cluster, "cluster", false, "the cluster")
	s.StringArrayVar(&f.transactionalIDs, "transactional-id", nil, "a transactional id; may be repeated")
	s.StringArrayVar(&f.tokens, "delegation-token", nil, "a delegation token; may be repeated")
	s.StringArrayVar(&f.users, "user-principal", nil, "a principal as a resource, as User:alice, for tokens of others; may be repeated")
}

// resources returns what was named.
func (f *resourceFlags) resources() (out []acl.Resource) {
	for _, named := range []struct {
		on    acl.ResourceType
		names []string
	}{{acl.Topic, f.topics}, {acl.Group, f.groups}, {acl.TransactionalID, f.transactionalIDs}, {acl.DelegationToken, f.tokens}, {acl.User, f.users}} {
		for _, name := range named.names {
			out = append(out, acl.Resource{Type: named.on, Name: name})
		}
	}
	for i, on := range out {
		if on.Type == acl.User && on.Name != acl.Wildcard && !strings.Contains(on.Name, ":") {
			out[i].Name = "User:" + on.Name
		}
	}
	if f.cluster {
		out = append(out, acl.Resource{Type: acl.Cluster, Name: acl.ClusterName})
	}
	return out
}

// principalNamed returns a principal; a name alone is a user's.
func principalNamed(s string) (string, error) {
	if !strings.Contains(s, ":") {
		s = "User:" + s
	}
	if err := acl.CheckPrincipal(s); err != nil {
		return "", usagef("principal %q: want User:NAME", s)
	}
	return s, nil
}

// principalsNamed is principalNamed for several.
func principalsNamed(list []string) (out []string, err error) {
	for _, s := range list {
		p, err := principalNamed(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// operationsNamed reads operations; each may be several with commas between.
func operationsNamed(list []string) (out []acl.Operation, err error) {
	for _, text := range list {
		for _, word := range strings.Split(text, ",") {
			op, err := acl.ParseOperation(strings.TrimSpace(word))
			if err != nil {
				return nil, usageError{err}
			}
			out = append(out, op)
		}
	}
	return out, nil
}

// completeACLFlags lets a shell complete operations and types of patterns.
func completeACLFlags(c *cobra.Command, patterns ...string) {
	if c.Flags().Lookup("operation") != nil {
		var words []string
		for op := acl.All; op <= acl.TwoPhaseCommit; op++ {
			words = append(words, strings.ToLower(op.String()))
		}
		completeValues(c, "operation", words...)
	}
	if len(patterns) > 0 {
		completeValues(c, "resource-pattern-type", patterns...)
	}
}

// allACLs returns the bindings of the cluster.
func allACLs(ctx context.Context, adm *adminClient) (*acl.Rules, error) {
	b := kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternAny)
	answers, err := adm.DescribeACLs(ctx, b)
	if err != nil {
		return nil, sayKafka("list ACLs", err, "")
	}
	edit := acl.NewEdit(nil)
	for _, a := range answers {
		if a.Err != nil {
			return nil, sayKafka("list ACLs", a.Err, "")
		}
		for _, d := range a.Described {
			edit.Add(acl.Binding{Type: acl.ResourceType(d.Type), Pattern: acl.PatternType(d.Pattern), Name: d.Name, Principal: d.Principal, Host: d.Host,
				Operation: acl.Operation(d.Operation), Permission: acl.Permission(d.Permission)})
		}
	}
	return edit.Rules(), nil
}

// aclFilter are the flags that select bindings.
type aclFilter struct {
	resourceFlags
	principals, hosts, operations []string
	pattern, permission           string

	filters []acl.Filter // read
}

func (f *aclFilter) add(c *cobra.Command, pattern string) {
	s := c.Flags()
	f.resourceFlags.add(s)
	s.StringArrayVar(&f.principals, "principal", nil, "those of a principal, as User:alice; may be repeated")
	s.StringArrayVar(&f.hosts, "host", nil, "those for a host; may be repeated")
	s.StringArrayVar(&f.operations, "operation", nil, "those of an operation, as read; may be repeated")
	s.StringVar(&f.permission, "permission", "any", "allow, deny or any")
	s.StringVar(&f.pattern, "resource-pattern-type", pattern, "literal, prefixed, any, or match: those that apply to the named resources, whatever their pattern")
	completeACLFlags(c, "literal", "prefixed", "any", "match")
	completeValues(c, "permission", "allow", "deny", "any")
}

// narrows reports whether not everything is selected.
func (f *aclFilter) narrows() bool {
	return len(f.resources())+len(f.principals)+len(f.hosts)+len(f.operations) > 0 || f.permission != "any"
}

// read makes filters of the flags: one for each combination.
func (f *aclFilter) read() error {
	pattern, err := acl.ParsePatternType(f.pattern)
	if err != nil {
		return usageError{err}
	}
	permission, err := acl.ParsePermission(f.permission)
	if err != nil {
		return usageError{err}
	}
	principals, err := principalsNamed(f.principals)
	if err != nil {
		return err
	}
	operations, err := operationsNamed(f.operations)
	if err != nil {
		return err
	}
	if len(operations) == 0 {
		operations = []acl.Operation{acl.AnyOperation}
	}
	for i := range f.hosts {
		f.hosts[i] = acl.CanonicalHost(f.hosts[i])
	}
	for _, op := range operations {
		for _, on := range f.named() {
			for _, principal := range orAny(principals) {
				for _, host := range orAny(f.hosts) {
					x := acl.Filter{Type: on.Type, Pattern: pattern, Principal: principal, Host: host, Operation: op, Permission: permission}
					if on.Type != acl.AnyResource {
						x.Name = &on.Name
					}
					f.filters = append(f.filters, x)
				}
			}
		}
	}
	return nil
}

// named are the resources that were named, or any.
func (f *aclFilter) named() []acl.Resource {
	if all := f.resources(); len(all) > 0 {
		return all
	}
	return []acl.Resource{{Type: acl.AnyResource}}
}

// orAny returns pointers to texts; none is one nil.
func orAny(texts []string) (out []*string) {
	for i := range texts {
		out = append(out, &texts[i])
	}
	if len(out) == 0 {
		out = append(out, nil)
	}
	return out
}

// selected returns the bindings that one of the filters matches.
func (f *aclFilter) selected(rules *acl.Rules) []acl.Binding {
	var out []acl.Binding
	for _, x := range f.filters {
		out = append(out, rules.Select(x)...)
	}
	slices.SortFunc(out, acl.Binding.Compare)
	return slices.Compact(out)
}
