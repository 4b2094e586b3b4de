// LeaveGroup, versions 0 to 5: 3 several members, static ones too (KIP-345), 5 reasons
// (KIP-800).

package broker

import (
	"context"

	"varve/group/classic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveGroup removes one member, or many from version 3.
func (g *groupAPIs) leaveGroup(ctx context.Context, c *caller, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	if !c.allowed(opRead, onGroup, req.Group) {
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp
	}
	members := req.Members
	if req.Version < 3 {
		members = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	leave := classic.Leave{}
	for _, m := range members {
		l := classic.Leaving{MemberID: m.MemberID, InstanceID: m.InstanceID}
		if m.Reason != nil {
			l.Reason = *m.Reason
		}
		leave.Members = append(leave.Members, l)
	}
	r := g.groups.Leave(ctx, req.Group, leave)
	if r.Err != nil {
		resp.ErrorCode = groupCode(r.Err)
		return resp
	}
	if req.Version < 3 {
		resp.ErrorCode = groupCode(r.Members[0])
		return resp
	}
	for i, m := range members {
		rm := kmsg.NewLeaveGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ErrorCode = m.MemberID, m.InstanceID, groupCode(r.Members[i])
		resp.Members = append(resp.Members, rm)
	}
	return resp
}
