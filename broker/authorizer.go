package broker

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/auth/acl"
	"varve/cluster"
	"varve/internal/mutate"
)

// Security is who may do what.
type Security struct {
	ACLs          bool     // requests are authorized by ACLs; else everything is allowed
	SuperUsers    []string // principals that are allowed everything
	AllowEveryone bool     // what no ACL is for
}

// authorizer decides what callers may do. A nil one allows everything.
type authorizer struct {
	security        Security
	policy          *acl.Policy
	acls            *cluster.ACLs
	audit           *slog.Logger
	denials         *quiet // by principal
	allowed, denied prometheus.Counter
	observe         func(acl.Operation, acl.ResourceType) // if not nil, called at every question; of tests
}

func newAuthorizer(deps *Deps, m *metrics) *authorizer {
	if !deps.Security.ACLs {
		return nil
	}
	return &authorizer{security: deps.Security, policy: acl.NewPolicy(deps.Security.SuperUsers, deps.Security.AllowEveryone), acls: deps.View.ACLs, audit: deps.Audit,
		denials: m.quiet("access denied", quietEach), allowed: m.allowed, denied: m.denied}
}

// rights are one connection's: it remembers what was decided until the rules change.
type rights struct {
	*authorizer
	mu struct {
		sync.Mutex
		rules     *acl.Rules // of which known are decisions
		principal string     // of whom
		known     map[question]bool
	}
}

// question is what was decided.
type question struct {
	op   acl.Operation
	on   acl.ResourceType
	any  bool // whether op is allowed on any resource of the type
	name string
}

// A connection remembers at most knownDecisions about names of at most knownName bytes: 20
// KiB at the very most.
const (
	knownDecisions = 64
	knownName      = 255
)

// rights returns the rights of a new connection; nil may do everything.
func (a *authorizer) rights() *rights {
	if a == nil {
		return nil
	}
	return &rights{authorizer: a}
}

// allowed reports whether the caller may do op with a resource. A denial is logged.
func (c *caller) allowed(op acl.Operation, on acl.ResourceType, name string) bool {
	ok := c.may(op, on, name)
	if !ok {
		c.rights.logDenial(c, op, on, name)
	}
	return ok
}

// may is allowed for what the caller didn't ask for by name, or may do instead: a denial
// isn't logged.
func (c *caller) may(op acl.Operation, on acl.ResourceType, name string) bool {
	return c.rights == nil || c.rights.ask(c, question{op: op, on: on, name: name})
}

// mayAny reports whether the caller may do op with any resource of a type.
func (c *caller) mayAny(op acl.Operation, on acl.ResourceType) bool {
	return c.rights == nil || c.rights.ask(c, question{op: op, on: on, any: true})
}

// check is allowed as an error: nil, or Kafka's for the type of resource.
func (c *caller) check(op acl.Operation, on acl.ResourceType, name string) error {
	if c.allowed(op, on, name) {
		return nil
	}
	return refusals[on]
}

// operations returns what the caller may do with a resource, as a bit field by Kafka's
// numbers (KIP-430).
func (c *caller) operations(on acl.ResourceType, name string) (field int32) {
	for _, op := range acl.Operations(on) {
		if c.rights == nil || c.rights.decide(c, question{op: op, on: on, name: name}) {
			field |= 1 << op
		}
	}
	return field
}

// rules returns the rules that decide now: other ones after every change.
func (c *caller) rules() *acl.Rules {
	if c.rights == nil {
		return nil
	}
	return c.rights.acls.Rules()
}

// ask decides what a request needs.
func (r *rights) ask(c *caller, q question) bool {
	if r.observe != nil {
		r.observe(q.op, q.on)
	}
	ok := r.decide(c, q)
	if ok {
		r.authorizer.allowed.Inc()
	} else {
		r.denied.Inc()
	}
	return ok
}

// decide answers from what is known, or asks the rules.
func (r *rights) decide(c *caller, q question) bool {
	rules := r.acls.Rules()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.rules != rules && !mutate.On(mutate.KeepDecisions) || r.mu.principal != c.principal {
		clear(r.mu.known)
		r.mu.rules, r.mu.principal = rules, c.principal
	}
	as := q
	if mutate.On(mutate.OneForAll) {
		as.name = ""
	}
	ok, known := r.mu.known[as]
	if !known {
		if q.any {
			ok = r.policy.DecideAny(rules, c.principal, c.host, q.op, q.on)
		} else {
			ok = r.policy.Decide(rules, c.principal, c.host, q.op, acl.Resource{Type: q.on, Name: q.name}).Allowed
		}
		r.remember(as, ok)
	}
	return ok
}

// remember is called with the lock held.
func (r *rights) remember(q question, ok bool) {
	if len(q.name) > knownName {
		return
	}
	if r.mu.known == nil {
		r.mu.known = map[question]bool{}
	}
	if len(r.mu.known) >= knownDecisions {
		clear(r.mu.known)
	}
	q.name = strings.Clone(q.name) // not the whole request
	r.mu.known[q] = ok
}

// logDenial writes a line into the audit log: one a minute for a principal, an operation
// and a resource, and quietEach of a principal, with the number of those that were not written
// since. Clients without authentication are all one principal, so their networks count.
func (r *rights) logDenial(c *caller, op acl.Operation, on acl.ResourceType, name string) {
	if len(name) > acl.MaxField {
		name = name[:acl.MaxField]
	}
	about := c.principal
	if about == anonymous {
		about += " " + network(c.host)
	}
	unsaid, ok := r.denials.say(about, op.String()+" "+on.String()+" "+name, time.Now())
	if !ok {
		return
	}
	d := r.policy.Decide(r.acls.Rules(), c.principal, c.host, op, acl.Resource{Type: on, Name: name})
	why := "no ACL allows it"
	if d.Why == acl.ByRule {
		why = d.Rule.String()
	}
	r.audit.Info("access denied", "operation", op.String(), "resource", on.String(), "name", name, "rule", why, "listener", c.listener, c.attr(), "not_logged", unsaid)
}
