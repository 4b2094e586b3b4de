// CreateACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// createACLs stores the bindings that are valid. The answer comes when this agent decides
// by them.
func (api *aclAPIs) createACLs(ctx context.Context, c *caller, req *kmsg.CreateACLsRequest) *kmsg.CreateACLsResponse {
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	denied := api.refusal(c, opAlter)
	errs := make([]error, len(req.Creations))
	var valid []acl.Binding
	for i := range req.Creations {
		b, err := bindingOf(&req.Creations[i])
		if denied != nil {
			err = denied
		}
		if errs[i] = err; err == nil {
			valid = append(valid, b)
		}
	}
	stored := api.create(ctx, c, valid)
	for _, err := range errs {
		if err == nil {
			err = stored
		}
		r := kmsg.NewCreateACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = coded(err)
		resp.Results = append(resp.Results, r)
	}
	return resp
}

func (api *aclAPIs) create(ctx context.Context, c *caller, bindings []acl.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	if err := api.editor.CreateACLs(ctx, c.principal, bindings); err != nil {
		api.audit.Warn("ACLs not created, or only some of them", "asked_for", len(bindings), "err", err, c.attr())
		return err
	}
	for _, b := range bindings {
		api.audit.Info("ACL created", "acl", b.String(), c.attr())
	}
	return nil
}

// bindingOf returns the binding that is asked for, if it is valid.
func bindingOf(a *kmsg.CreateACLsRequestCreation) (acl.Binding, error) {
	b := acl.Binding{Type: acl.ResourceType(a.ResourceType), Pattern: acl.PatternType(a.ResourcePatternType), Name: a.ResourceName,
		Principal: a.Principal, Host: acl.CanonicalHost(a.Host), Operation: acl.Operation(a.Operation), Permission: acl.Permission(a.PermissionType)}
	if err := b.Validate(); err != nil {
		return b, refuse(kerr.InvalidRequest, "%v", err)
	}
	return b, nil
}
