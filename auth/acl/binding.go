// Package acl decides what a principal may do, as Kafka's StandardAuthorizer does: by
// bindings, each of which allows or denies one operation on the resources that a pattern
// matches.
//
// It promises that a decision follows from its arguments alone, and that with any number
// of bindings it costs a few look-ups and no allocation. It neither stores bindings nor
// knows who a caller is.
package acl

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// Binding is one rule: a principal is allowed or denied an operation on resources, when it
// asks from a host. Bindings are comparable, and each is kept once.
type Binding struct {
	Type       ResourceType
	Pattern    PatternType
	Name       string // of the resource, or its beginning; Wildcard with Literal is every name
	Principal  string // as "User:name"; Everyone is every user
	Host       string // an IP address, or Wildcard
	Operation  Operation
	Permission Permission
}

// InvalidError is why a binding or a filter is refused, in Kafka's words where it has some.
type InvalidError struct{ text string }

func (e *InvalidError) Error() string { return e.text }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// MaxField is how long a name, a principal and a host may be, in bytes.
const MaxField = 1024

// Validate returns why the binding can't be kept, an InvalidError.
func (b *Binding) Validate() error {
	switch {
	case b.Type == Cluster && b.Name != ClusterName:
		return invalid("The only valid name for the CLUSTER resource is %s", ClusterName)
	case b.Name == "":
		return invalid("Invalid empty resource name")
	case b.Type <= AnyResource || b.Type > User:
		return invalid("Invalid resourceType %v", b.Type)
	case b.Pattern != Literal && b.Pattern != Prefixed:
		return invalid("Invalid patternType %v", b.Pattern)
	case b.Operation <= AnyOperation || b.Operation > TwoPhaseCommit:
		return invalid("Invalid operation %v", b.Operation)
	case b.Permission != Allow && b.Permission != Deny:
		return invalid("Invalid permissionType %v", b.Permission)
	case b.Host == "":
		return invalid("Invalid empty host")
	case len(b.Name) > MaxField || len(b.Principal) > MaxField || len(b.Host) > MaxField:
		return invalid("A resource name, principal or host is longer than %d bytes", MaxField)
	}
	return CheckPrincipal(b.Principal)
}

// CheckPrincipal refuses what isn't of the form "Type:name".
func CheckPrincipal(s string) error {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || kind == "" || name == "" {
		return invalid("Invalid principal %q: want Type:name, as User:alice", s)
	}
	return nil
}

// String returns the binding as a sentence.
func (b Binding) String() string {
	return fmt.Sprintf("%v %s from host %s: %v on %v %v:%s", b.Permission, b.Principal, b.Host, b.Operation, b.Pattern, b.Type, b.Name)
}

// Compare orders bindings by resource, principal, host, operation and permission.
func (b Binding) Compare(o Binding) int {
	return cmp.Or(cmp.Compare(b.Type, o.Type), cmp.Compare(b.Name, o.Name), cmp.Compare(b.Pattern, o.Pattern),
		cmp.Compare(b.Principal, o.Principal), cmp.Compare(b.Host, o.Host), cmp.Compare(b.Operation, o.Operation), cmp.Compare(b.Permission, o.Permission))
}

// CanonicalHost returns an address as callers' are written: IPv6 in its shortest form, IPv4 as
// such, without a zone. Other texts stay as they are: they match no caller.
func CanonicalHost(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	return a.Unmap().WithZone("").String()
}
