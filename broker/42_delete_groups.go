// DeleteGroups, versions 0 to 2: 0 groups are deleted (KIP-229).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups removes groups without members and their offsets.
func (g *groupAPIs) deleteGroups(ctx context.Context, c *caller, req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, name := range req.Groups {
		rg := kmsg.NewDeleteGroupsResponseGroup()
		rg.Group = name
		if err := c.check(opDelete, onGroup, name); err != nil {
			rg.ErrorCode = groupCode(err)
		} else {
			err := g.groups.Delete(ctx, name)
			if rg.ErrorCode = groupCode(err); err == nil {
				g.audit.Info("group deleted", "group", short(name), c.attr())
			}
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return resp
}
