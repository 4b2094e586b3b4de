// DescribeGroups, versions 0 to 6: 3 authorized operations (KIP-430), 4 static members
// (KIP-345), 6 GROUP_ID_NOT_FOUND (KIP-1043).

package broker

import (
	"context"
	"fmt"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeGroups shows groups and their members.
func (g *groupAPIs) describeGroups(ctx context.Context, c *caller, req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range req.Groups {
		resp.Groups = append(resp.Groups, g.describeGroup(ctx, c, req, name))
	}
	return resp
}

func (g *groupAPIs) describeGroup(ctx context.Context, c *caller, req *kmsg.DescribeGroupsRequest, name string) kmsg.DescribeGroupsResponseGroup {
	rg := kmsg.NewDescribeGroupsResponseGroup()
	rg.Group = name
	if !c.allowed(opDescribe, onGroup, name) {
		rg.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return rg
	}
	d, err := g.groups.Describe(ctx, name)
	if err != nil {
		rg.ErrorCode = groupCode(err)
		return rg
	}
	rg.State, rg.ProtocolType, rg.Protocol = d.State.String(), d.ProtocolType, d.Protocol
	if d.State == classic.Dead && req.Version >= 6 {
		rg.ErrorCode, rg.ErrorMessage = kerr.GroupIDNotFound.Code, kmsg.StringPtr(fmt.Sprintf("Group %s not found.", name))
		return rg
	}
	if req.IncludeAuthorizedOperations {
		rg.AuthorizedOperations = c.operations(onGroup, name)
	}
	for _, m := range d.Members {
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.ClientID, rm.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		rm.ProtocolMetadata, rm.MemberAssignment = m.Metadata, m.Assignment
		rg.Members = append(rg.Members, rm)
	}
	return rg
}
