// DescribeACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources
// (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
)

// describeACLs shows the bindings that this agent decides by.
func (api *aclAPIs) describeACLs(_ context.Context, c *caller, req *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	f, err := acl.Filter{}, api.refusal(c, opDescribe)
	if err == nil {
		f, err = filterOf(req.ResourceType, req.ResourcePatternType, req.ResourceName, req.Principal, req.Host, req.Operation, req.PermissionType)
	}
	if resp.ErrorCode, resp.ErrorMessage = coded(err); err != nil {
		return resp
	}
	resp.Resources = resourcesOf(api.auth.acls.Rules().Select(f))
	return resp
}

// resourcesOf gathers bindings, which are in order, by their patterns.
func resourcesOf(bindings []acl.Binding) (out []kmsg.DescribeACLsResponseResource) {
	for i, b := range bindings {
		if before := max(0, i-1); i == 0 || b.Type != bindings[before].Type || b.Pattern != bindings[before].Pattern || b.Name != bindings[before].Name {
			r := kmsg.NewDescribeACLsResponseResource()
			r.ResourceType, r.ResourcePatternType, r.ResourceName = kmsg.ACLResourceType(b.Type), kmsg.ACLResourcePatternType(b.Pattern), b.Name
			out = append(out, r)
		}
		a := kmsg.NewDescribeACLsResponseResourceACL()
		a.Principal, a.Host, a.Operation, a.PermissionType = b.Principal, b.Host, kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
		r := &out[len(out)-1]
		r.ACLs = append(r.ACLs, a)
	}
	return out
}
