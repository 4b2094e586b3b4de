// DeleteACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// deleteACLs deletes what each filter matches, and lists it. The answer comes when this
// agent no longer decides by it.
func (api *aclAPIs) deleteACLs(ctx context.Context, c *caller, req *kmsg.DeleteACLsRequest) *kmsg.DeleteACLsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	denied := api.refusal(c, opAlter)
	for i := range req.Filters {
		r := kmsg.NewDeleteACLsResponseResult()
		var deleted []acl.Binding
		err := denied
		if err == nil {
			deleted, err = api.delete(ctx, c, &req.Filters[i])
		}
		if r.ErrorCode, r.ErrorMessage = coded(err); err != nil {
			deleted = nil
		}
		for _, b := range deleted {
			m := kmsg.NewDeleteACLsResponseResultMatchingACL()
			m.ResourceType, m.ResourcePatternType, m.ResourceName = kmsg.ACLResourceType(b.Type), kmsg.ACLResourcePatternType(b.Pattern), b.Name
			m.Principal, m.Host, m.Operation, m.PermissionType = b.Principal, b.Host, kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
			r.MatchingACLs = append(r.MatchingACLs, m)
		}
		resp.Results = append(resp.Results, r)
	}
	return resp
}

func (api *aclAPIs) delete(ctx context.Context, c *caller, want *kmsg.DeleteACLsRequestFilter) ([]acl.Binding, error) {
	f, err := filterOf(want.ResourceType, want.ResourcePatternType, want.ResourceName, want.Principal, want.Host, want.Operation, want.PermissionType)
	if err != nil {
		return nil, err
	}
	deleted, err := api.editor.DeleteACLs(ctx, f)
	for _, b := range deleted {
		api.audit.Info("ACL deleted", "acl", b.String(), c.attr())
	}
	return deleted, err
}
