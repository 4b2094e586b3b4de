package broker

import (
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/cluster"
)

// aclAPIs serves the requests about ACLs.
type aclAPIs struct {
	auth   *authorizer // nil: they are switched off
	editor *cluster.Editor
	audit  *slog.Logger
}

// noAuthorizer is Kafka's text where none is configured. Tools that copy or show ACLs
// look for its code, SECURITY_DISABLED, and go on without.
const noAuthorizer = "No Authorizer is configured."

// refusal returns why a caller may not do op with ACLs, or nil.
func (api *aclAPIs) refusal(c *caller, op acl.Operation) error {
	if api.auth == nil {
		return refuse(kerr.SecurityDisabled, noAuthorizer)
	}
	return c.check(op, onCluster, theCluster)
}

// coded returns an error's code and text for an answer; 0 and nil if there is none.
func coded(err error) (code int16, message *string) {
	if err == nil {
		return 0, nil
	}
	return codeOf(err).Code, said(err)
}

// filterOf makes a filter of what DescribeACLs and DeleteACLs ask with.
func filterOf(on kmsg.ACLResourceType, kind kmsg.ACLResourcePatternType, name, principal, host *string, op kmsg.ACLOperation, p kmsg.ACLPermissionType) (acl.Filter, error) {
	if host != nil {
		canonical := acl.CanonicalHost(*host)
		host = &canonical
	}
	f := acl.Filter{Type: acl.ResourceType(on), Pattern: acl.PatternType(kind), Name: name, Principal: principal, Host: host, Operation: acl.Operation(op), Permission: acl.Permission(p)}
	if err := f.Validate(); err != nil {
		return f, refuse(kerr.InvalidRequest, "%v", err)
	}
	return f, nil
}
