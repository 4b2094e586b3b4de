package acl

import "slices"

// Resource is what a caller wants to use.
type Resource struct {
	Type ResourceType
	Name string
}

// Policy is what decides beside the bindings.
type Policy struct {
	supers        map[string]bool
	allowEveryone bool
}

// NewPolicy makes a policy. Super users are principals that are allowed everything.
// allowEveryone allows everyone what no binding's pattern matches
// (allow.everyone.if.no.acl.found), except what NeedsRule reports.
func NewPolicy(superUsers []string, allowEveryone bool) *Policy {
	p := &Policy{map[string]bool{}, allowEveryone}
	for _, u := range superUsers {
		p.supers[u] = true
	}
	return p
}

// Why is what a decision rests on.
type Why uint8

// What a decision may rest on.
const (
	ByDefault Why = iota // no binding matches, but some are for the resource: it is denied
	ByNoRules            // no binding is for the resource: the policy's default
	ByRule               // the decision's Rule
	BySuper              // the principal is a super user
)

// Decision is whether an operation is allowed, and why.
type Decision struct {
	Allowed bool
	Why     Why
	Rule    Binding // of ByRule
}

// Decide decides whether a principal may do op with a resource from a host. A binding that
// denies counts more than any that allow.
func (p *Policy) Decide(r *Rules, principal, host string, op Operation, on Resource) Decision {
	if p.supers[principal] {
		return Decision{Allowed: true, Why: BySuper}
	}
	q := query{rules: r, principal: principal, host: host, op: op}
	if r != nil {
		q.look(patternKey{Literal, on.Type, on.Name})
		if on.Name != Wildcard {
			q.look(patternKey{Literal, on.Type, Wildcard})
		}
		if on.Type <= User {
			all := &r.prefixes[on.Type]
			for at := all.longest(on.Name); at >= 0; at = all.parents[at] {
				q.look(patternKey{Prefixed, on.Type, all.names[at]})
			}
		}
	}
	return q.decision(p.allowEveryone && !NeedsRule(on.Type))
}

// query looks for the bindings that decide.
type query struct {
	rules           *Rules
	principal, host string
	op              Operation
	some            bool // bindings are for the resource
	allowed, denied bool
	allow, deny     Binding
}

// look takes the bindings of a pattern that matches the resource.
func (q *query) look(k patternKey) {
	p := q.rules.pattern(k)
	if p.bindings == 0 || q.denied {
		return
	}
	q.some = true
	q.take(grantKey{k, q.principal, Wildcard})
	q.take(grantKey{k, Everyone, Wildcard})
	if p.hosts > 0 {
		q.take(grantKey{k, q.principal, q.host})
		q.take(grantKey{k, Everyone, q.host})
	}
}

func (q *query) take(k grantKey) {
	g := q.rules.grant(k)
	if ops := g.deny & denying(q.op); ops != 0 && !q.denied {
		q.denied, q.deny = true, k.binding()
		q.deny.Operation, q.deny.Permission = first(ops, q.op), Deny
	}
	if ops := g.allow & allowing(q.op); ops != 0 && !q.allowed {
		q.allowed, q.allow = true, k.binding()
		q.allow.Operation, q.allow.Permission = first(ops, q.op), Allow
	}
}

// NeedsRule reports whether only bindings and super users allow what is done with a resource of a
// type: users and delegation tokens. Who may have a token made for a super user, or may see one of
// its tokens, can log in as that user. Kafka allows both by default.
func NeedsRule(t ResourceType) bool { return t == User || t == DelegationToken }

func (q *query) decision(allowEveryone bool) Decision {
	switch {
	case q.denied:
		return Decision{Why: ByRule, Rule: q.deny}
	case q.allowed:
		return Decision{Allowed: true, Why: ByRule, Rule: q.allow}
	case !q.some:
		return Decision{Allowed: allowEveryone, Why: ByNoRules}
	}
	return Decision{Why: ByDefault}
}

// denying are the operations of bindings that deny op.
func denying(op Operation) uint16 { return bit(op) | bit(All) }

// allowing are the operations of bindings that allow op: what reads, writes, deletes or
// alters may also describe. A denial implies nothing.
func allowing(op Operation) uint16 {
	switch op {
	case Describe:
		return denying(op) | bit(Read) | bit(Write) | bit(Delete) | bit(Alter)
	case DescribeConfigs:
		return denying(op) | bit(AlterConfigs)
	}
	return denying(op)
}

// first returns the operation itself if it is in the set, else the one with the lowest number.
func first(ops uint16, op Operation) Operation {
	if ops&bit(op) != 0 {
		return op
	}
	op = 0
	for ops&bit(op) == 0 {
		op++
	}
	return op
}

// hardcode is the name of a resource that Kafka asks for to find out whether any is allowed.
const hardcode = "hardcode"

// DecideAny reports whether a principal may do op with at least one resource of a type, as
// far as bindings tell (KIP-679). Implied operations don't count. It looks at all bindings of the
// principal, and at those of everyone.
func (p *Policy) DecideAny(r *Rules, principal, host string, op Operation, on ResourceType) bool {
	if p.Decide(r, principal, host, op, Resource{on, hardcode}).Allowed {
		return true
	}
	denied := map[patternKey]bool{}
	var allowed []patternKey
	for _, who := range slices.Compact([]string{principal, Everyone}) {
		for _, b := range r.of(who) {
			if b.Type != on || b.Operation != op && b.Operation != All || b.Host != host && b.Host != Wildcard {
				continue
			}
			k := keyOf(b).patternKey
			if b.Permission == Deny {
				denied[k] = true
			} else {
				allowed = append(allowed, k)
			}
		}
	}
	if denied[patternKey{Literal, on, Wildcard}] {
		return false
	}
	for _, k := range allowed {
		if k.kind == Literal && k.name == Wildcard || !dominated(k, denied) {
			return true
		}
	}
	return false
}

// dominated reports whether everything that a pattern matches is denied by another one.
func dominated(k patternKey, denied map[patternKey]bool) bool {
	if k.kind == Literal && denied[k] {
		return true
	}
	for n := 1; n <= len(k.name); n++ {
		if denied[patternKey{Prefixed, k.on, k.name[:n]}] {
			return true
		}
	}
	return false
}
